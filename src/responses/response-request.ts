/**
 * The body of `POST /v1/responses`, validated. Every field that OpenAI documents is honoured, or refused by name
 * unless it asks for nothing. What a field means for the answer is the chat API's to say, see to-chat.ts.
 */
import * as z from 'zod/mini';
import { refuse } from '../errors.ts';
import { generationFields, tokenCount } from '../generation-fields.ts';
import { idle, isEmptyArray, isObject, label } from '../idle-fields.ts';
import { jsonObject } from '../json-object.ts';
import { list, map } from '../list.ts';
import { also, orString } from '../other-forms.ts';
import { typeName, validate } from '../validate.ts';
import { isResponseId } from './response-id.ts';

const itemId = z.optional(
  z.string().check(z.regex(/^[\w-]{1,128}$/, 'must be 1 to 128 letters, digits, _ or -.')),
);
const itemStatus = z.nullish(z.literal(['in_progress', 'completed', 'incomplete']));
const callId = z.string().check(z.minLength(1), z.maxLength(128));
const onlyNull = (what: string) => idle((value) => value === null, `${what} not supported.`);

/** Answers come back as history the way they were given out, with what they did not contain. */
const part = z.strictObject({
  type: z.literal(['input_text', 'output_text'], {
    error: (issue) => `parts of type ${typeName(issue.input)} are not supported: this model reads text only.`,
  }),
  text: z.string(),
  annotations: idle(isEmptyArray, 'annotations are not supported.'),
  logprobs: idle(Array.isArray, 'must be a list.'),
  // Of openai's parsing helpers, which leave it on what they were given.
  parsed: z.optional(z.unknown()),
  prompt_cache_breakpoint: onlyNull('is'),
});
const notText = 'must be a string or a list of text parts.';
/** A string stands for one part. */
const text = z
  .pipe(
    z.transform((value: unknown) =>
      typeof value === 'string' ? [{ type: 'input_text', text: value }] : value,
    ),
    list(part, { min: 1, max: 1_024, error: notText }),
  )
  .register(also, orString);

const message = z
  .strictObject({
    type: z.literal('message'),
    role: z.literal(['user', 'assistant', 'system', 'developer', '系统', '用户', '助手'], {
      error: (issue) =>
        `${typeName(issue.input)} is not a role; use system, developer, user or assistant (系统, 用户, 助手).`,
    }),
    content: text,
    id: itemId,
    status: itemStatus,
    phase: z.nullish(z.literal(['commentary', 'final_answer'])),
  })
  .register(also, { optional: ['type'] });
const functionCall = z.strictObject({
  type: z.literal('function_call'),
  call_id: callId,
  name: z.string().check(z.minLength(1), z.maxLength(64)),
  arguments: z.string(),
  id: itemId,
  status: itemStatus,
  parsed_arguments: z.optional(z.unknown()),
  caller: idle((value) => value === null || isDirect(value), 'only direct calls are supported.'),
  namespace: onlyNull('namespaces are'),
});
const functionCallOutput = z.strictObject({
  type: z.literal('function_call_output'),
  call_id: callId,
  output: text,
  id: itemId,
  status: itemStatus,
  caller: idle((value) => value === null || isDirect(value), 'only direct calls are supported.'),
});

/** A message need not say that it is one. */
const inputItem = z.pipe(
  z.transform((value: unknown) =>
    isObject(value) && (value as { type?: unknown }).type === undefined
      ? { type: 'message', ...(value as object) }
      : value,
  ),
  z.discriminatedUnion('type', [message, functionCall, functionCallOutput], {
    error: (issue) =>
      issue.code === 'invalid_union'
        ? `items of type ${typeName((issue.input as { type?: unknown } | null)?.type)} are not supported; use message, function_call or function_call_output.`
        : undefined,
  }),
);

/** A string stands for one message of the user. */
const input = z
  .pipe(
    z.transform((value: unknown) => (typeof value === 'string' ? [{ role: 'user', content: value }] : value)),
    list(inputItem, { max: 8_192, error: 'must be a string or a list of items.' }),
  )
  .register(also, orString);

const functionTool = z.strictObject({
  type: z.literal('function', {
    error: (issue) => `tools of type ${typeName(issue.input)} are not supported: use functions.`,
  }),
  name: z.string(),
  description: z.nullish(z.string()),
  parameters: z.nullish(jsonObject),
  strict: z.nullish(z.boolean()),
  allowed_callers: idle((value) => value === null, 'is not supported.'),
  defer_loading: idle((value) => value === false, 'is not supported.'),
  output_schema: onlyNull('is'),
});
const namedFunction = z.strictObject({ type: z.literal('function'), name: z.string() });
const toolChoice = z.union(
  [
    z.literal(['none', 'auto', 'required']),
    namedFunction,
    z.strictObject({
      type: z.literal('allowed_tools'),
      mode: z.literal(['auto', 'required']),
      tools: list(namedFunction, { min: 1, max: 128 }),
    }),
  ],
  'must be "none", "auto", "required", {"type": "function", "name": …} or allowed_tools of functions.',
);

const format = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({
      type: z.literal('json_schema'),
      name: z.string(),
      schema: jsonObject,
      description: z.nullish(z.string()),
      strict: z.nullish(z.boolean()),
    }),
  ],
  {
    error: (issue) =>
      issue.code === 'invalid_union' ? 'must be "text", "json_object" or "json_schema".' : undefined,
  },
);

/** Those beside the log-probabilities name parts of items that this model never makes. */
const included = z.literal([
  'message.output_text.logprobs',
  'message.input_image.image_url',
  'reasoning.encrypted_content',
  'file_search_call.results',
  'web_search_call.results',
  'web_search_call.action.sources',
  'computer_call_output.output.image_url',
  'code_interpreter_call.outputs',
]);

const metadata = map(z.string().check(z.maxLength(64)), z.string().check(z.maxLength(512)), { max: 16 });

/** Beyond OpenAI's, as in the chat API. */
const extraFields = {
  seed: generationFields.seed,
  stop: generationFields.stop,
  presence_penalty: generationFields.presence_penalty,
  frequency_penalty: generationFields.frequency_penalty,
  logit_bias: generationFields.logit_bias,
  top_k: generationFields.top_k,
  min_p: generationFields.min_p,
  typical_p: generationFields.typical_p,
  repetition_penalty: generationFields.repetition_penalty,
  dry_multiplier: generationFields.dry_multiplier,
  dry_base: generationFields.dry_base,
  dry_allowed_length: generationFields.dry_allowed_length,
  dry_penalty_last_n: generationFields.dry_penalty_last_n,
  dry_sequence_breakers: generationFields.dry_sequence_breakers,
  stop_token_ids: generationFields.stop_token_ids,
  ignore_eos: generationFields.ignore_eos,
  min_tokens: generationFields.min_tokens,
  priority: generationFields.priority,
};

export const responseBody = z.strictObject({
  model: generationFields.model,
  input: z._default(input, []),
  instructions: z.optional(z.string()),
  previous_response_id: z.optional(z.string().check(z.refine(isResponseId, 'is not the id of a response.'))),
  store: z._default(z.boolean(), true),
  stream: z._default(z.boolean(), false),
  background: z._default(z.boolean(), false),
  stream_options: z.optional(
    z.strictObject({
      include_obfuscation: idle((value) => value === false, 'obfuscation is not supported.'),
    }),
  ),
  max_output_tokens: tokenCount,
  temperature: generationFields.temperature,
  top_p: generationFields.top_p,
  text: z.optional(
    z.strictObject({
      format: z.nullish(format),
      verbosity: idle((value) => value === null || value === 'medium', 'only "medium" is supported.'),
    }),
  ),
  tools: z._default(list(functionTool, { max: 128 }), []),
  tool_choice: z._default(toolChoice, 'auto'),
  parallel_tool_calls: z._default(z.boolean(), true),
  include: z._default(list(included, { max: 16 }), []),
  top_logprobs: z.optional(z.int().check(z.minimum(0), z.maximum(20))),
  truncation: z._default(z.literal(['auto', 'disabled']), 'disabled'),
  metadata: z._default(metadata, {}),
  user: label,
  safety_identifier: label,
  prompt_cache_key: label,
  /** Of built-in tools, of which there are none. */
  max_tool_calls: tokenCount,
  ...extraFields,

  context_management: idle(isEmptyArray, 'is not supported.'),
  conversation: idle(() => false, 'conversations are not supported: use previous_response_id.'),
  moderation: idle(() => false, 'moderation is not supported.'),
  prompt: idle(() => false, 'stored prompts are not supported.'),
  prompt_cache_options: idle(() => false, 'is not supported.'),
  prompt_cache_retention: idle((value) => value === 'in_memory', 'only "in_memory" is supported.'),
  reasoning: idle(asksForNoReasoning, 'this model does not reason: only {"effort": "none"} is supported.'),
  service_tier: idle((value) => value === 'auto' || value === 'default', 'only "auto" is supported.'),
});

/** Of `POST /v1/responses/input_tokens`: the fields that make the prompt. */
export const inputTokensBody = z.extend(
  z.pick(responseBody, {
    input: true,
    instructions: true,
    previous_response_id: true,
    text: true,
    tools: true,
    tool_choice: true,
    parallel_tool_calls: true,
    truncation: true,
    conversation: true,
    reasoning: true,
  }),
  { model: z.optional(generationFields.model), personality: idle(() => false, 'is not supported.') },
);

export type ResponseFields = z.output<typeof responseBody>;
export type InputItem = z.output<typeof inputItem>;
/** Names of fields that go to the chat API as they came. */
export const passedOn = Object.keys(extraFields) as (keyof typeof extraFields)[];

/** Throws an EdgeError that names the field at fault. */
export function parseResponseFields(json: unknown): ResponseFields {
  const fields = validate(responseBody, json);
  if (fields.background && !fields.store) {
    refuse('background', 'needs store to be true: nobody could ask for the answer.');
  }
  return fields;
}

/** With the model's name where there was one: to count, any node will do. */
export function parseInputTokensFields(json: unknown): { model: string | undefined; fields: ResponseFields } {
  const { model } = validate(inputTokensBody, json);
  return { model, fields: parseResponseFields({ ...(json as object), model: model ?? 'any' }) };
}

function isDirect(value: unknown): boolean {
  return (value as { type?: unknown } | undefined)?.type === 'direct';
}

function asksForNoReasoning(value: unknown): boolean {
  return (
    isObject(value) &&
    Object.entries(value as object).every(
      ([name, one]) => one === null || (name === 'effort' && one === 'none'),
    )
  );
}
