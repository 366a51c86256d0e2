/** The body of `POST /v1/chat/completions`, validated, as plain values. */
import * as z from 'zod/mini';
import { type Conversation, conversation, conversationFields } from './conversation.ts';
import { refuse } from './errors.ts';
import { type Generation, generationFields, toGeneration, tokenCount } from './generation-fields.ts';
import { idle, isObject, label } from './idle-fields.ts';
import { speaksChinese } from './messages.ts';
import { validate } from './validate.ts';

export interface ChatRequest extends Generation, Conversation {
  /** The answer's role: Chinese where the request spoke Chinese roles. */
  role: 'assistant' | '助手';
  /** What to do with a conversation that is too long: shorten it, or refuse it. */
  truncation: 'auto' | 'disabled';
}

export const chatBody = z.strictObject({
  ...generationFields,
  ...conversationFields,
  max_completion_tokens: tokenCount,
  logprobs: z._default(z.boolean(), false),
  top_logprobs: z.optional(z.int().check(z.minimum(0), z.maximum(20))),
  /** As OpenAI's Responses API has it: "auto" lets go of the oldest turns where the context is too short. */
  truncation: z._default(z.literal(['auto', 'disabled']), 'disabled'),

  metadata: idle(isObject, 'must be an object.'),
  prompt_cache_key: label,
  safety_identifier: label,

  audio: idle(() => false, 'audio is not supported.'),
  echo: idle((value) => value === false, 'is for text completions alone.'),
  modalities: idle(
    (value) => Array.isArray(value) && value.length > 0 && value.every((one) => one === 'text'),
    'only ["text"] is supported.',
  ),
  moderation: idle(() => false, 'moderation is not supported.'),
  prediction: idle(() => false, 'predicted outputs are not supported.'),
  prompt_cache_options: idle(() => false, 'is not supported: prefixes are kept by themselves.'),
  prompt_cache_retention: idle((value) => value === 'in_memory', 'only "in_memory" is supported.'),
  reasoning_effort: idle(
    (value) => value === 'none',
    'this model does not reason: only "none" is supported.',
  ),
  service_tier: idle((value) => value === 'auto' || value === 'default', 'only "auto" is supported.'),
  store: idle((value) => value === false, 'nothing is stored: only false is supported.'),
  verbosity: idle((value) => value === 'medium', 'only "medium" is supported.'),
  web_search_options: idle(() => false, 'web search is not supported.'),
});

/** Throws an EdgeError that names the field at fault. */
export function parseChatRequest(json: unknown): ChatRequest {
  const fields = validate(chatBody, json);
  const { logprobs, top_logprobs } = fields;
  if (top_logprobs && !logprobs) {
    refuse('top_logprobs', 'needs logprobs to be true.');
  }
  const { turns, ending, tools, answer } = conversation(fields);
  const format = tools?.format ?? answer?.format;
  const generation = toGeneration(fields);
  return {
    ...generation,
    options: {
      ...generation.options,
      ...(logprobs && { logprobs: top_logprobs ?? 0 }),
      ...(format && { format }),
    },
    formatField: tools ? 'tools' : answer?.field,
    turns,
    ending,
    role: speaksChinese(fields.messages) ? '助手' : 'assistant',
    truncation: fields.truncation,
  };
}
