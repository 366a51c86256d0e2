/**
 * llama.cpp's own server behind this node: prompts go to its `/completion` as token ids, and its token ids come back.
 * As of the llama.cpp that this package brings (tools/server/server-context.cpp). What it does in its own way: presence
 * and frequency penalties count the prompt too, `ignore_eos` bans the tokens that would end an answer, and one prefix
 * cache serves all tenants.
 */
import type { Logger } from 'pino';
import { z } from 'zod';
import { ExpertsUnavailableError } from '../engine/errors.ts';
import type { TokenPieces } from '../engine/token-pieces.ts';
import type { TokenLogprob } from '../engine/types.ts';
import type { Drawn } from './answer.ts';
import {
  UnsupportedFieldError,
  UpstreamFailedError,
  UpstreamMalformedError,
  UpstreamUnreachableError,
} from './errors.ts';
import { UpstreamHttp, type UpstreamOptions } from './http.ts';
import { Reachability } from './reachability.ts';
import type { UpstreamAdapter, UpstreamEnd, UpstreamProgress, UpstreamRequest } from './upstream-engine.ts';
import type { KnownModel } from './vocabulary.ts';

const engine = 'llama-server';
const props = z.looseObject({
  total_slots: z.int().positive(),
  default_generation_settings: z.looseObject({ n_ctx: z.int().positive() }),
  build_info: z.optional(z.string()),
});
const modelList = z.looseObject({
  data: z.array(z.looseObject({ meta: z.nullish(z.looseObject({ n_vocab: z.optional(z.int()) })) })),
});

const named = { id: z.int(), logprob: z.nullable(z.number()) };
const event = z.looseObject({
  content: z.string(),
  tokens: z.array(z.int()),
  stop: z.boolean(),
  stop_type: z.optional(z.string()),
  completion_probabilities: z.optional(
    z.array(z.looseObject({ ...named, top_logprobs: z.optional(z.array(z.looseObject(named))) })),
  ),
  timings: z.optional(z.looseObject({ cache_n: z.optional(z.int()) })),
});
type Event = z.infer<typeof event>;

/** It answers an empty list with a 500. This is no character, so nothing ends in it. */
const nobodysBreaker = '\u{10ffff}';

/** What JSON can say of a token that cannot come, or of one whose probability was not told. */
const least = -9999;

/**
 * Asks it what it serves.
 * @throws UpstreamUnreachableError, UpstreamStatusError, UpstreamMalformedError
 */
export async function connectLlamaServer(
  options: UpstreamOptions,
  model: KnownModel,
  log: Logger,
  contextTokens = Number.POSITIVE_INFINITY,
): Promise<LlamaServerAdapter> {
  const http = new UpstreamHttp(options);
  try {
    const told = props.safeParse(await http.json('/props'));
    if (!told.success) throw new UpstreamMalformedError(`${options.url} is no llama-server`);
    const models = modelList.safeParse(await http.json('/v1/models'));
    const size = models.data?.data[0]?.meta?.n_vocab;
    if (size !== undefined && size !== model.vocabulary) {
      throw new UpstreamMalformedError(
        `its model has ${size} tokens, and the one of --model ${model.vocabulary}: prompts would mean something else`,
      );
    }
    const room = Math.min(told.data.default_generation_settings.n_ctx, model.trainedContext, contextTokens);
    return new LlamaServerAdapter(http, model, told.data, room, log);
  } catch (error) {
    await http.close();
    throw error;
  }
}

export class LlamaServerAdapter implements UpstreamAdapter {
  readonly name: string;
  readonly maxSequence: number;
  readonly slots: number;
  readonly stats = {};
  readonly warnings = ['llama-server knows no priorities, and shares one prefix cache between tenants'];
  readonly #http: UpstreamHttp;
  readonly #model: KnownModel;
  readonly #reachability: Reachability;

  constructor(
    http: UpstreamHttp,
    model: KnownModel,
    told: z.infer<typeof props>,
    maxSequence: number,
    log: Logger,
  ) {
    const { total_slots, build_info = '' } = told;
    this.name = `${engine} ${build_info}`.trim();
    this.maxSequence = maxSequence;
    this.slots = total_slots;
    this.#http = http;
    this.#model = model;
    this.#reachability = new Reachability(() => http.json('/health'), engine, log);
  }

  get state(): 'ready' | 'restarting' {
    return this.#reachability.state;
  }

  body(request: UpstreamRequest): object {
    return completionBody(request, this.maxSequence);
  }

  async run(
    body: object,
    request: UpstreamRequest,
    progress: UpstreamProgress,
    signal: AbortSignal,
  ): Promise<UpstreamEnd> {
    const ends = new Set(request.ends);
    // It stops at what its file calls an end, and at no other token.
    const enough = new AbortController();
    let ended = false;
    let last: Event | undefined;
    try {
      await this.#http.events(
        '/completion',
        body,
        AbortSignal.any([signal, enough.signal]),
        () => progress.onAccepted(),
        (data) => {
          if (ended) return;
          const told = read(data);
          const drawn = drawnFrom(told, this.#model.pieces, request.logprobs);
          if (drawn.ids.length > 0) progress.onDrawn(drawn);
          if (told.stop) last = told;
          ended = drawn.ids.some((id) => ends.has(id));
          if (ended) enough.abort();
        },
      );
    } catch (error) {
      // Its stream ends without a `[DONE]`.
      if (!ended && !last) {
        if (error instanceof UpstreamUnreachableError && !signal.aborted) void this.#reachability.look();
        throw error;
      }
    }
    const cachedTokens = last?.timings?.cache_n;
    return {
      reason: last?.stop_type === 'limit' && !ended ? 'length' : 'stop',
      ...(cachedTokens !== undefined && { cachedTokens }),
    };
  }

  async close(): Promise<void> {
    this.#reachability.stop();
    await this.#http.close();
  }
}

function completionBody(request: UpstreamRequest, maxSequence: number): object {
  const { sampling, continueIds = [], grammar, ends, minTokens = 0 } = request;
  if (request.returnExperts) throw new ExpertsUnavailableError();
  if (grammar && continueIds.length > 0) {
    const why = 'cannot go on inside of an answer that a grammar holds';
    throw new UnsupportedFieldError('continue_ids', engine, why);
  }
  if (minTokens > continueIds.length) throw new UnsupportedFieldError('min_tokens', engine);
  const { temperature, top_p, top_k, min_p, typical_p = 1, dry } = sampling;
  const { presence_penalty, frequency_penalty, repetition_penalty, logit_bias } = sampling;
  return {
    prompt: request.allIds,
    stream: true,
    return_tokens: true,
    n_predict: request.room,
    ...{ temperature, top_p, top_k, min_p, typical_p, presence_penalty, frequency_penalty },
    repeat_penalty: repetition_penalty,
    repeat_last_n: maxSequence,
    seed: seedOf(request),
    ...(dry && {
      dry_multiplier: dry.multiplier,
      dry_base: dry.base,
      dry_allowed_length: dry.allowed_length,
      dry_penalty_last_n: dry.last_n || maxSequence,
      dry_sequence_breakers: dry.sequence_breakers.length > 0 ? dry.sequence_breakers : [nobodysBreaker],
    }),
    ...(logit_bias && { logit_bias: Object.entries(logit_bias).map(([id, bias]) => [Number(id), bias]) }),
    // Of the raw logits.
    ...(request.logprobs !== undefined && {
      n_probs: Math.max(1, request.logprobs),
      post_sampling_probs: false,
    }),
    ...(grammar && grammarOf(grammar, ends)),
    ignore_eos: ends.length === 0,
    cache_prompt: true,
    // Else it would hold text back to look for strings in it.
    stop: [],
  };
}

/**
 * Its triggers are part of what its grammar is of. And of the tokens that end an answer its grammar lets only those pass
 * that its file calls so: the markers are named.
 */
function grammarOf(
  { gbnf, trigger }: NonNullable<UpstreamRequest['grammar']>,
  ends: readonly number[],
): object {
  const answer = gbnf.replace(/^root(\s*::=)/m, 'whole-answer$1');
  const begin = trigger === undefined ? '' : `${JSON.stringify(trigger)} `;
  const end = ends.length === 0 ? '' : ` (${ends.map((id) => `<[${id}]>`).join(' | ')})?`;
  return {
    grammar: `root ::= ${begin}whole-answer${end}\n${answer}`,
    ...(trigger !== undefined && { grammar_lazy: true, grammar_triggers: [{ type: 1, value: trigger }] }),
  };
}

/** Its generator begins anew with each request: an answer that goes on must not repeat the draws that it began with. */
function seedOf({ sampling: { seed }, continueIds = [] }: UpstreamRequest): number {
  return continueIds.length === 0 ? seed : (seed + Math.imul(continueIds.length, 0x9e3779b1)) >>> 0;
}

function read(data: unknown): Event {
  const told = event.safeParse(data);
  if (told.success) return told.data;
  if ((data as { error?: unknown } | null)?.error) throw new UpstreamFailedError(engine);
  throw new UpstreamMalformedError(`${engine} told something else than a completion`);
}

/**
 * A stream of it names one token an event, the last, and none as long as a character is not whole. Those it leaves out
 * can only be byte tokens, one a byte, because all others are whole characters: the text says which they were.
 */
function drawnFrom(told: Event, pieces: TokenPieces, top: number | undefined): Drawn {
  const [id] = told.tokens;
  if (id === undefined) return { ids: [] };
  const bytes = Buffer.from(told.content);
  const silent = bytes.length - pieces.bytes(id).length;
  const lost = [...bytes.subarray(0, Math.max(0, silent))].map((byte) => pieces.byteTokens[byte]!);
  const ids = [...lost, id];
  if (top === undefined) return { ids };
  const [own] = told.completion_probabilities ?? [];
  const unknown = lost.map((one) => ({ ...entry(pieces, one, least), top_logprobs: [] }));
  const { logprob = null, top_logprobs = [] } = own ?? {};
  return {
    ids,
    logprobs: [
      ...unknown,
      {
        ...entry(pieces, id, logprob),
        top_logprobs: top_logprobs.slice(0, top).map((one) => entry(pieces, one.id, one.logprob)),
      },
    ],
  };
}

function entry(pieces: TokenPieces, id: number, logprob: number | null): Omit<TokenLogprob, 'top_logprobs'> {
  const bytes = pieces.bytes(id);
  const told = Math.max(least, logprob ?? least);
  return { token: pieces.label(id), logprob: told, bytes: bytes.length === 0 ? null : [...bytes] };
}
