/** The body of `POST /v1/tokenize`, as vLLM has it: messages, or a prompt. */
import type { Segment } from 'huozi-gpu-backend/protocol';
import * as z from 'zod/mini';
import { formatFields } from './answer-format.ts';
import { renderChat, renderText } from './chatml.ts';
import { onePrompt } from './completion-request.ts';
import { conversation, conversationFields } from './conversation.ts';
import { isObject } from './idle-fields.ts';
import { validate } from './validate.ts';

export interface TokenizeRequest {
  /** Undefined where the client named none. */
  model: string | undefined;
  prompt: Segment[];
}

const shared = {
  model: z.optional(z.string().check(z.minLength(1), z.maxLength(128))),
  /** Whether a beginning-of-sequence token stands at the start. */
  add_special_tokens: z._default(z.boolean(), true),
};

export const tokenizeTextBody = z.strictObject({ ...shared, prompt: onePrompt });
export const tokenizeChatBody = z.strictObject({ ...shared, ...conversationFields, ...formatFields });

/** Throws an EdgeError that names the field at fault. */
export function parseTokenizeRequest(json: unknown): TokenizeRequest {
  if (isObject(json) && 'prompt' in (json as object) && !('messages' in (json as object))) {
    const { model, prompt, add_special_tokens } = validate(tokenizeTextBody, json);
    return { model, prompt: specials(renderText(prompt), add_special_tokens) };
  }
  const fields = validate(tokenizeChatBody, json);
  const { turns, ending } = conversation(fields);
  return { model: fields.model, prompt: specials(renderChat(turns, ending), fields.add_special_tokens) };
}

function specials(prompt: Segment[], wanted: boolean): Segment[] {
  return wanted ? prompt : prompt.slice(1);
}
