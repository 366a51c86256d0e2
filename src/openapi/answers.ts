/** What the edge answers, as JSON Schema. That it does is for test/edge/openapi.test.ts to show. */
import {
  anything,
  boolean,
  integer,
  type JsonSchema,
  listOf,
  mapOf,
  number,
  object,
  oneOf,
  only,
  orNull,
  ref,
  string,
} from './json-schema.ts';

const text = orNull(string);
const count = orNull(integer);
const finishReason = oneOf('stop', 'length', 'tool_calls');
const logprob = { token: string, logprob: number, bytes: orNull(listOf(integer)) };

const head = (objectName: string) => ({
  id: string,
  object: only(objectName),
  created: integer,
  model: string,
  'system_fingerprint?': string,
});
const choice = (said: Record<string, JsonSchema>, finish: JsonSchema, logprobs: JsonSchema) =>
  listOf(object({ index: integer, ...said, logprobs: orNull(logprobs), finish_reason: finish }));
const page = (data: JsonSchema, more: Record<string, JsonSchema> = {}) =>
  object({ object: only('list'), data: listOf(data), ...more });
const experts = { 'routed_experts?': string };
const message = (role: JsonSchema, part: JsonSchema) =>
  object({ id: string, type: only('message'), role, status: ref('ItemStatus'), content: listOf(part) });
const functionCall = object({
  id: string,
  type: only('function_call'),
  call_id: string,
  name: string,
  arguments: string,
  status: ref('ItemStatus'),
});
const inputText = object({ type: only('input_text'), text: string });
const histogram = object({ bounds: listOf(number), counts: listOf(integer) });
const keySettings = {
  name: string,
  limits: mapOf(integer),
  models: orNull(listOf(string)),
  scopes: orNull(listOf(string)),
  labels: mapOf(string),
  expires_at: count,
};
const key = {
  id: string,
  object: only('key'),
  ...keySettings,
  created_at: integer,
  revoked_at: count,
  previous_until: count,
};

export const answers: Record<string, JsonSchema> = {
  Error: object({ error: object({ message: string, type: string, param: text, code: text }) }),
  Health: object({ status: only('ok') }),
  Model: object({
    id: string,
    object: only('model'),
    created: integer,
    owned_by: string,
    max_model_len: integer,
  }),
  ModelList: page(ref('Model')),
  Usage: object({
    prompt_tokens: integer,
    completion_tokens: integer,
    total_tokens: integer,
    'prompt_tokens_details?': object({ cached_tokens: integer }),
  }),
  Logprob: object({ ...logprob, top_logprobs: listOf(object(logprob)) }),
  ChatLogprobs: object({ content: orNull(listOf(ref('Logprob'))), refusal: { type: 'null' } }),
  TextLogprobs: object({
    tokens: listOf(string),
    token_logprobs: listOf(orNull(number)),
    top_logprobs: orNull(listOf(orNull(mapOf(number)))),
    text_offset: listOf(integer),
  }),
  ToolCall: object({
    id: string,
    type: only('function'),
    function: object({ name: string, arguments: string }),
  }),
  ChatCompletion: object({
    ...head('chat.completion'),
    choices: choice(
      {
        message: object({
          role: oneOf('assistant', '助手'),
          content: text,
          'tool_calls?': listOf(ref('ToolCall')),
        }),
      },
      finishReason,
      ref('ChatLogprobs'),
    ),
    usage: ref('Usage'),
    ...experts,
  }),
  ChatCompletionChunk: object({
    ...head('chat.completion.chunk'),
    choices: choice(
      {
        delta: object({
          'role?': oneOf('assistant', '助手'),
          'content?': text,
          'tool_calls?': listOf(
            object({
              index: integer,
              'id?': string,
              'type?': only('function'),
              'function?': object({ 'name?': string, 'arguments?': string }),
            }),
          ),
        }),
      },
      orNull(finishReason),
      ref('ChatLogprobs'),
    ),
    'usage?': orNull(ref('Usage')),
    ...experts,
  }),
  TextCompletion: object({
    ...head('text_completion'),
    choices: choice({ text: string }, orNull(finishReason), ref('TextLogprobs')),
    'usage?': orNull(ref('Usage')),
    ...experts,
  }),
  TokenList: object({ count: integer, max_model_len: integer, tokens: listOf(integer) }),

  ItemStatus: oneOf('in_progress', 'completed', 'incomplete'),
  OutputText: object({
    type: only('output_text'),
    text: string,
    annotations: listOf(anything),
    logprobs: listOf(ref('Logprob')),
  }),
  OutputItem: { anyOf: [message(oneOf('assistant', '助手'), ref('OutputText')), functionCall] },
  InputItem: {
    anyOf: [
      message(string, { anyOf: [inputText, ref('OutputText')] }),
      functionCall,
      object({
        id: string,
        type: only('function_call_output'),
        call_id: string,
        output: string,
        status: ref('ItemStatus'),
      }),
    ],
  },
  InputItemList: page(ref('InputItem'), { first_id: text, last_id: text, has_more: boolean }),
  Response: object({
    id: string,
    object: only('response'),
    created_at: integer,
    status: oneOf('in_progress', 'completed', 'incomplete', 'failed', 'cancelled'),
    completed_at: count,
    error: orNull(object({ code: string, message: string })),
    incomplete_details: orNull(object({ reason: only('max_output_tokens') })),
    model: string,
    instructions: text,
    previous_response_id: text,
    store: boolean,
    background: boolean,
    max_output_tokens: count,
    max_tool_calls: count,
    temperature: number,
    top_p: number,
    text: object({ format: anything, verbosity: string }),
    tools: listOf(
      object({
        type: only('function'),
        name: string,
        description: text,
        parameters: orNull(mapOf(anything)),
        strict: boolean,
      }),
    ),
    tool_choice: anything,
    parallel_tool_calls: boolean,
    top_logprobs: integer,
    truncation: oneOf('auto', 'disabled'),
    metadata: mapOf(string),
    reasoning: object({ effort: { type: 'null' }, summary: { type: 'null' } }),
    service_tier: string,
    user: text,
    safety_identifier: text,
    prompt_cache_key: text,
    output: listOf(ref('OutputItem')),
    usage: orNull(
      object({
        input_tokens: integer,
        input_tokens_details: object({ cached_tokens: integer, cache_write_tokens: integer }),
        output_tokens: integer,
        output_tokens_details: object({ reasoning_tokens: integer }),
        total_tokens: integer,
      }),
    ),
  }),
  ResponseEvent: object({
    type: oneOf(
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.completed',
      'response.incomplete',
      'response.failed',
    ),
    sequence_number: integer,
    'response?': ref('Response'),
    'item?': ref('OutputItem'),
    'item_id?': string,
    'output_index?': integer,
    'content_index?': integer,
    'part?': ref('OutputText'),
    'delta?': string,
    'text?': string,
    'logprobs?': listOf(ref('Logprob')),
    'name?': string,
    'arguments?': string,
  }),
  Stream: object({
    id: string,
    object: only('stream'),
    status: oneOf('completed', 'failed', 'cancelled'),
  }),
  InputTokens: object({ object: only('response.input_tokens'), input_tokens: integer }),
  DeletedResponse: object({ id: string, object: only('response'), deleted: only(true) }),

  UsageRow: object({
    'key?': string,
    'model?': string,
    'hour?': integer,
    requests: integer,
    errors: integer,
    prompt_tokens: integer,
    cached_tokens: integer,
    completion_tokens: integer,
    unsettled_tokens: integer,
    retries: integer,
    migrations: integer,
    ttft_ms: histogram,
    duration_ms: histogram,
  }),
  UsageReport: object({
    object: only('usage'),
    'key?': object({ id: string, name: string }),
    from: integer,
    to: integer,
    data: listOf(ref('UsageRow')),
  }),
  Key: object(key),
  NewKey: object({ ...key, key: string }),
  KeyList: page(ref('Key'), { has_more: boolean }),
  Beat: object({ nodes: integer, beat_every_ms: integer }),
  NodeList: page(
    object({
      id: string,
      url: string,
      up: boolean,
      sent: integer,
      breaker: object({
        state: oneOf('closed', 'open', 'half-open'),
        failures: integer,
        open_until: count,
      }),
      info: orNull(mapOf(anything)),
    }),
  ),
  Experts: object({
    object: only('experts'),
    model: string,
    asked_at: integer,
    experts: integer,
    experts_used: integer,
    steps: integer,
    steps_sampled: integer,
    tokens_sampled: integer,
    sampling_cost: number,
    layers: listOf(
      object({
        tokens: integer,
        counts: listOf(integer),
        entropy: number,
        imbalance: number,
        co_activation: listOf(listOf(integer)),
      }),
    ),
    nodes: listOf(
      object({
        id: string,
        status: oneOf('counted', 'silent', 'unavailable', 'other_shape'),
        mode: oneOf('sampled', 'off', 'unavailable', null),
        since: count,
      }),
    ),
  }),
};
