/** The body of `POST /v1/completions`, validated, as plain values. */
import * as z from 'zod/mini';
import { type Generation, generationFields, idle, toGeneration } from './generation-fields.ts';
import { validate } from './validate.ts';

export interface CompletionRequest extends Generation {
  prompt: string;
}

/** What OpenAI documents for an absent max_tokens, in this endpoint only. */
const defaultMaxTokens = 16;

const oneString = 'must be a string: lists of prompts and of token ids are not supported.';

const body = z.strictObject({
  ...generationFields,
  // A list of one string asks for the same as the string.
  prompt: z.pipe(
    z.transform((value: unknown) => (Array.isArray(value) && value.length === 1 ? value[0] : value)),
    z.string(oneString),
  ),
  max_tokens: z._default(z.int().check(z.positive()), defaultMaxTokens),
  best_of: idle((value) => value === 1, 'only 1 is supported.'),
  echo: idle((value) => value === false, 'is not supported yet.'),
  logprobs: idle(() => false, 'log probabilities are not supported yet.'),
  suffix: idle((value) => value === '', 'is not supported.'),
});

/** Throws an EdgeError that names the field at fault. */
export function parseCompletionRequest(json: unknown): CompletionRequest {
  const fields = validate(body, json);
  return { ...toGeneration(fields), prompt: fields.prompt };
}
