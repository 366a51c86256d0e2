import type { GenerateRequest } from '../protocol.ts';

/** What a completion with `echo` begins with: the prompt's text, without its control tokens. */
export function echoOf({ echo = false, prompt }: GenerateRequest): string {
  if (!echo) return '';
  return prompt.map((segment) => ('text' in segment ? segment.text : '')).join('');
}
