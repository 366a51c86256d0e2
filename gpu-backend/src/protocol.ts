/**
 * The wire between edge and node: `POST /v1/generate`, `DELETE /v1/generate/{id}`, `GET /v1/node`,
 * `POST /v1/tokenize`, `GET /v1/experts`, `GET /metrics`.
 *
 * The node writes the very bytes that the client will read, so that the edge parses nothing per token.
 * What only the edge needs travels where every SSE client looks away: `id:` lines and comments.
 *
 * One event of a stream (LF line ends, a blank line closes it):
 *
 *     id: 17                                  tokens generated so far, this event's included
 *     : ids 312,447                           the token ids since the last event
 *     data: {"id":"chatcmpl-…","object":"chat.completion.chunk",…}
 *
 * The ids told so far are as many as the last `id:` says, and they are all there is to know of an answer: from any
 * event's end it goes on elsewhere with them as `continue_ids`. The token that ends an answer is one of them; ids of
 * tokens without text come with the next event that has some, or with the one that has `finish_reason`.
 *
 * A stream: the role event together with the first text, text events, the event with `finish_reason`,
 * the usage event if asked for, then `: usage {NodeUsage}` and `data: [DONE]` in one write. A stream that
 * fails ends with `: usage {NodeUsage}` and `data: {"error":{…}}` instead, without `[DONE]`. `: ping`
 * comes after 2 s without an event. No write is shorter than 32 bytes: the edge does not look at less (ping.ts).
 *
 * With `n` choices each chunk names its choice, `: ids` are that choice's, `id:` counts over all of them, and `[DONE]`
 * comes after the last. What a tool call or an `echo` tells is told under the same rules.
 *
 * Not streaming: one JSON body in the client's shape, with NodeUsage as JSON in `x-huozi-usage`.
 * Errors before the first byte: OpenAI's error shape with a 4xx/5xx status. 429 `queue_full` and 503
 * `engine_restarting` carry `Retry-After`; 400 `invalid_grammar` and `invalid_schema` name `format`.
 *
 * Tool calls: the answer holds one `<tool_call>\n{"name":…,"arguments":{…}}\n</tool_call>` a call; the node
 * turns them into `delta.tool_calls` and ends with `finish_reason` "tool_calls".
 */
import { z } from 'zod';

/** Control tokens by name. What a user types can only ever stand in `text`. */
const controls = ['bos', 'begin', 'end'] as const;
const controlSegment = z.strictObject({ control: z.enum(controls) });
const textSegment = z.strictObject({ text: z.string() });

const segment = z.union([controlSegment, textSegment]);

/** A prompt whose first bad segment is its last: complaints about each of hundreds of thousands would cost seconds. */
function untilFirstBad(prompt: unknown): unknown {
  if (!Array.isArray(prompt)) return prompt;
  const bad = prompt.findIndex((entry) => {
    const isSegment = typeof entry?.text === 'string' || controls.some((name) => name === entry?.control);
    return !isSegment || Object.keys(entry).length !== 1;
  });
  return bad < 0 ? prompt : prompt.slice(0, bad + 1);
}

const promptSegments = z.preprocess(untilFirstBad, z.array(segment).min(1));

const tokenId = z.int().nonnegative();

/** "Don't repeat yourself": a penalty of multiplier × base^(length − allowed_length) on a token that would go on a repetition. */
const dry = z.strictObject({
  multiplier: z.number().min(0).max(10),
  base: z.number().min(1).max(10),
  allowed_length: z.int().min(1).max(64),
  /** Tokens looked back over; 0 is the whole sequence. */
  last_n: z.int().nonnegative(),
  sequence_breakers: z.array(z.string().min(1).max(32)).max(16),
});

const sampling = z.strictObject({
  /** 0 is greedy. */
  temperature: z.number().min(0).max(2),
  top_p: z.number().gt(0).max(1),
  /** 0 is off. */
  top_k: z.int().nonnegative(),
  min_p: z.number().min(0).max(1),
  /** 1 is off. */
  repetition_penalty: z.number().gt(0).max(2),
  presence_penalty: z.number().min(-2).max(2),
  frequency_penalty: z.number().min(-2).max(2),
  seed: z.int().min(0).max(4_294_967_295),
  /** Locally typical sampling; absent or 1 is off. */
  typical_p: z.optional(z.number().gt(0).max(1)),
  dry: z.optional(dry),
  /** By token id; added to the raw logits. */
  logit_bias: z.optional(z.record(z.string().regex(/^\d{1,7}$/), z.number().min(-100).max(100))),
});

/** How the client's events shall look. */
const events = z.strictObject({
  object: z.enum(['chat.completion', 'text_completion']),
  /** Also names the generation for `DELETE /v1/generate/{id}`. */
  id: z.string().regex(/^[\w-]{1,64}$/),
  model: z.string().max(128),
  /** Unix seconds. */
  created: z.int().nonnegative(),
  role: z.enum(['assistant', '助手']),
  stream: z.boolean(),
  include_usage: z.boolean(),
});

const tool = z.strictObject({
  name: z.string().regex(/^[\w-]{1,64}$/),
  /** JSON schema of the arguments. */
  parameters: z.record(z.string(), z.unknown()),
});

/** What the answer must look like; the node makes the grammar, and for `tools` also parses the calls. */
const format = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({ type: z.literal('json_schema'), schema: z.unknown() }),
  z.strictObject({ type: z.literal('grammar'), gbnf: z.string().min(1).max(65_536) }),
  z.strictObject({
    type: z.literal('tools'),
    tools: z.array(tool).min(1).max(128),
    choice: z.union([z.enum(['auto', 'required']), z.strictObject({ name: z.string() })]),
    parallel: z.boolean(),
  }),
]);

export const generateRequest = z.strictObject({
  prompt: promptSegments,
  sampling,
  /** Absent: as many as the context holds, 2,048 at most. */
  max_tokens: z.optional(z.int().positive()),
  /** At most 16; a stop string never reaches the client. */
  stop: z.array(z.string().min(1).max(256)).max(16),
  /** Beside eos and both markers, which always stop unless `ignore_eos`. */
  stop_token_ids: z.array(tokenId).max(64),
  ignore_eos: z.boolean(),
  events,
  /** No token that ends the answer before so many. */
  min_tokens: z.optional(z.int().nonnegative()),
  /** Choices of one prompt; choice i samples with seed + i. `id:` counts tokens over all of them. */
  n: z.optional(z.int().min(1).max(8)),
  /** How many alternatives beside each token's own log-probability (of the raw logits); absent is off. */
  logprobs: z.optional(z.int().min(0).max(20)),
  /** Completions only: the answer begins with the prompt. */
  echo: z.optional(z.boolean()),
  format: z.optional(format),
  /**
   * The answer so far, made elsewhere. Goes on at position `continue_ids.length` with the same seed, as if
   * never interrupted; its text is not told again, its tokens count in `id:`, usage and `max_tokens`.
   */
  continue_ids: z.optional(z.array(tokenId).max(1_048_576)),
  /**
   * Adds `: experts <base64>` and `"routed_experts"` to each event: uint8 [tokens][layers][experts used], for the
   * tokens of its `ids` those that the position went through from which the token was drawn, the expert with the
   * larger router weight first. In a body that is not streamed, `"routed_experts"` stands beside `choices`.
   */
  return_routed_experts: z.optional(z.boolean()),
  /** One of `NodeInfo.adapters`; absent: the model alone. */
  adapter: z.optional(z.string().regex(/^[\w.-]{1,64}$/)),
  /** Salt of the prefix cache and unit of fairness. */
  tenant: z.optional(z.string().regex(/^[\w-]{1,64}$/)),
  /** What the prompt begins with, as the edge's numbers; the node tells them back in `NodeInfo.prefixes`. */
  prefix_keys: z.optional(z.array(z.int().min(0).max(4_294_967_295)).max(16)),
  /** Higher goes first; 0 when absent. */
  priority: z.optional(z.int().min(-100).max(100)),
  /** From arrival; past it the answer ends with reason `deadline`. */
  deadline_ms: z.optional(z.int().positive()),
});

/** `POST /v1/tokenize`. */
export const tokenizeRequest = z.strictObject({ prompt: promptSegments });

export type Segment = z.infer<typeof segment>;
export type Sampling = z.infer<typeof sampling>;
export type ClientEvents = z.infer<typeof events>;
export type GenerateRequest = z.infer<typeof generateRequest>;

/** Why a generation ended. `stop` and `length` are what clients see; the others end in an error or a closed socket. */
export type EndReason = 'stop' | 'length' | 'cancelled' | 'deadline' | 'error';

/** What the edge bills, however the stream ended. Counts are tokens. */
export interface NodeUsage {
  prompt_tokens: number;
  completion_tokens: number;
  /** Prompt tokens whose KV was there already. */
  cached_tokens?: number;
  reason: EndReason;
}

/** `POST /v1/tokenize`'s answer. */
export interface TokenizeResponse {
  tokens: number[];
  count: number;
}

/** `DELETE /v1/generate/{id}`: frees the sequence at the next step; also answers for a few minutes after the end. */
export interface CancelResponse {
  id: string;
  usage: NodeUsage;
}

/** `GET /v1/node`: what the edge and an operator need to know of a node. */
export interface NodeInfo {
  /** Served name, as in `GET /v1/models`. */
  model: string;
  /** LoRA adapters that it has loaded; clients ask for `model:adapter`. */
  adapters?: readonly string[];
  /** When its file was last written, unix seconds. */
  model_created?: number;
  version: string;
  /** Longest prompt + answer of one request, tokens. */
  context_length: number;
  slots: number;
  active: number;
  queued: number;
  /** Prompt tokens of the queued requests. */
  queued_tokens?: number;
  /** Moving average; 0 before anything was measured. */
  prefill_tokens_per_second?: number;
  /** How long an answer of the usual length holds its slot when all are taken; 0 before the first. */
  answer_seconds?: number;
  /** Base64 of uint32, little-endian: `prefix_keys` of prompts that are likely still in its cache. */
  prefixes?: string;
  /** Takes no new requests. */
  draining?: boolean;
  /** A lost engine is started again. */
  engine?: 'ready' | 'restarting';
  /** KV cells that running sequences have reserved, and all of them, tokens. */
  kv_used: number;
  kv_total: number;
  /** Decode steps since start: one `llama_decode` each. */
  steps: number;
  /** Tokens of prompts evaluated in them, and of answers; a difference of two answers is a rate. */
  prefill_tokens?: number;
  decode_tokens?: number;
  experts: number;
  experts_used: number;
}

/**
 * `GET /v1/experts`: where the router sent the tokens of the steps that were looked into. Counts only grow while the
 * node runs; a difference of two answers is what happened between them.
 */
export interface ExpertTelemetry {
  /** `off`: only requests with `return_routed_experts` look. `unavailable`: not on this platform. */
  mode: 'sampled' | 'off' | 'unavailable';
  /** Unix seconds: counted from then on. */
  since: number;
  experts: number;
  /** Experts that one token goes through, in each layer. */
  experts_used: number;
  /** Decode steps since then, and those that were looked into. */
  steps: number;
  steps_sampled: number;
  /** Positions, of prompts and of answers, in those steps. */
  tokens_sampled: number;
  /** Share of the steps' time that looking took, estimated; requests with `return_routed_experts` left out. */
  sampling_cost: number;
  layers: ExpertLayer[];
}

export interface ExpertLayer {
  /** The last layer computes fewer: of a prompt only the end. */
  tokens: number;
  /** `[experts]`: tokens sent to each; their sum is tokens × experts_used. */
  counts: number[];
  /** Of the counts' distribution, bits: log2(experts) when all are used alike. */
  entropy: number;
  /** Most frequent expert over the mean: 1 when all are used alike. */
  imbalance: number;
  /** `[experts][experts]`: tokens sent to both; symmetric, the diagonal is `counts`. */
  co_activation: number[][];
}

/** OpenAI's error shape. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}
