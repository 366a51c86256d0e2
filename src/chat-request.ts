/** The body of `POST /v1/chat/completions`, validated, as plain values. */
import * as z from 'zod/mini';
import type { Speaker, Turn } from './chatml.ts';
import {
  type Generation,
  generationFields,
  idle,
  isEmptyArray,
  isObject,
  label,
  toGeneration,
  tokenCount,
} from './generation-fields.ts';
import { echo, validate } from './validate.ts';

export interface ChatRequest extends Generation {
  turns: Turn[];
  /** The answer's role: Chinese where the request spoke Chinese roles. */
  role: 'assistant' | '助手';
}

const speakers: Record<string, Speaker> = {
  system: '系统',
  developer: '系统',
  系统: '系统',
  user: '用户',
  用户: '用户',
  assistant: '助手',
  助手: '助手',
};

const textPart = z.strictObject({
  type: z.literal('text', {
    error: (issue) => `parts of type ${typeName(issue.input)} are not supported: this model reads text only.`,
  }),
  text: z.string(),
});

/** A string, or text parts, which are joined with nothing between them. */
const content = z.pipe(
  z.pipe(
    z.transform((value: unknown) => (typeof value === 'string' ? [{ type: 'text', text: value }] : value)),
    z.array(textPart, 'must be a string or a list of text parts.').check(z.minLength(1)),
  ),
  z.transform((parts) => parts.map((part) => part.text).join('')),
);

/** The template has no place for a participant's name, and leaving it out would change what is asked. */
const name = idle((value) => value === null, 'names of participants are not supported.');
const asksForNothing = (value: unknown) => value === null || isEmptyArray(value);

const message = z.discriminatedUnion(
  'role',
  [
    z.strictObject({
      role: z.literal(['system', 'developer', 'user', '系统', '用户']),
      content,
      name,
    }),
    z.strictObject({
      role: z.literal(['assistant', '助手']),
      content: z.nullish(content),
      name,
      // Answers come back as history the way they were given out, with what they did not contain.
      refusal: idle((value) => value === null, 'refusals are not supported.'),
      annotations: idle(asksForNothing, 'annotations are not supported.'),
      audio: idle((value) => value === null, 'audio is not supported.'),
      tool_calls: idle(asksForNothing, 'tool calls are not supported yet.'),
      function_call: idle((value) => value === null, 'function calls are not supported yet.'),
    }),
  ],
  { error: (issue) => (issue.code === 'invalid_union' ? describeRole(issue.input) : undefined) },
);

const body = z.strictObject({
  ...generationFields,
  messages: z.array(message).check(z.minLength(1)),
  max_completion_tokens: tokenCount,

  metadata: idle(isObject, 'must be an object.'),
  prompt_cache_key: label,
  safety_identifier: label,

  audio: idle(() => false, 'audio is not supported.'),
  function_call: idle((value) => value === 'none', 'functions are not supported yet.'),
  functions: idle(isEmptyArray, 'functions are not supported yet.'),
  logprobs: idle((value) => value === false, 'log probabilities are not supported yet.'),
  modalities: idle(
    (value) => Array.isArray(value) && value.every((one) => one === 'text'),
    'only ["text"] is supported.',
  ),
  moderation: idle(() => false, 'moderation is not supported.'),
  parallel_tool_calls: z.optional(z.boolean()),
  prediction: idle(() => false, 'predicted outputs are not supported.'),
  prompt_cache_options: idle(() => false, 'is not supported.'),
  prompt_cache_retention: idle((value) => value === 'in_memory', 'only "in_memory" is supported.'),
  reasoning_effort: idle(
    (value) => value === 'none',
    'this model does not reason: only "none" is supported.',
  ),
  response_format: idle(
    (value) => (value as { type?: unknown } | null)?.type === 'text',
    'only {"type": "text"} is supported yet.',
  ),
  service_tier: idle((value) => value === 'auto' || value === 'default', 'only "auto" is supported.'),
  store: idle((value) => value === false, 'nothing is stored: only false is supported.'),
  tool_choice: idle((value) => value === 'none' || value === 'auto', 'tools are not supported yet.'),
  tools: idle(isEmptyArray, 'tools are not supported yet.'),
  top_logprobs: idle((value) => value === 0, 'log probabilities are not supported yet.'),
  verbosity: idle((value) => value === 'medium', 'only "medium" is supported.'),
  web_search_options: idle(() => false, 'web search is not supported.'),
});

/** Throws an EdgeError that names the field at fault. */
export function parseChatRequest(json: unknown): ChatRequest {
  const fields = validate(body, json);
  const roles = fields.messages.map((one) => one.role);
  return {
    ...toGeneration(fields),
    turns: fields.messages.map((one) => ({ speaker: speakers[one.role]!, text: one.content ?? '' })),
    role: roles.some((role) => role === speakers[role]) ? '助手' : 'assistant',
  };
}

function describeRole(input: unknown): string {
  const role = (input as { role?: unknown } | null)?.role;
  if (role === 'tool' || role === 'function') return `the role "${role}" is not supported yet.`;
  if (role === undefined) return 'this field is required.';
  return `${typeName(role)} is not a role; use system, developer, user or assistant (系统, 用户, 助手).`;
}

function typeName(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(echo(value)) : `of type ${typeof value}`;
}
