/** What `/v1/completions` tells, read. Recorded from vLLM 0.32.0. */
import { z } from 'zod';
import type { TokenPieces } from '../engine/token-pieces.ts';
import type { TokenLogprob } from '../engine/types.ts';
import type { Drawn } from '../upstream/answer.ts';
import { UpstreamMalformedError } from '../upstream/errors.ts';
import { readRoutedExperts } from './routed-experts.ts';

const byToken = z.record(z.string(), z.number());
const logprobs = z.looseObject({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.nullable(z.number())),
  top_logprobs: z.array(z.nullable(byToken)),
});
const choice = z.looseObject({
  token_ids: z.nullish(z.array(z.int())),
  logprobs: z.nullish(logprobs),
  finish_reason: z.nullish(z.string()),
  routed_experts: z.nullish(z.string()),
});
const chunk = z.looseObject({
  choices: z.array(choice),
  usage: z.nullish(
    z.looseObject({ prompt_tokens_details: z.nullish(z.looseObject({ cached_tokens: z.nullish(z.int()) })) }),
  ),
  error: z.optional(z.unknown()),
});

type Logprobs = z.infer<typeof logprobs>;

export interface Told {
  drawn?: Drawn;
  finishReason?: string;
  cachedTokens?: number;
  failed?: boolean;
}

/** What JSON can say of a token that cannot come. */
const least = -9999;

export class ChunkReader {
  readonly #pieces: TokenPieces;
  readonly #top: number;
  #checked = false;

  /** @param top alternatives told with each token */
  constructor(pieces: TokenPieces, top: number) {
    this.#pieces = pieces;
    this.#top = top;
  }

  /** @throws UpstreamMalformedError */
  read(data: unknown): Told {
    const { choices, usage, error } = this.#parse(data);
    const told: Told = {};
    if (error) told.failed = true;
    const cached = usage?.prompt_tokens_details?.cached_tokens;
    if (typeof cached === 'number') told.cachedTokens = cached;
    const [first] = choices;
    if (!first) return told;
    if (first.finish_reason) told.finishReason = first.finish_reason;
    const ids = first.token_ids;
    if (!ids) throw new UpstreamMalformedError('vLLM told no token ids: it is older than return_token_ids');
    if (ids.length === 0) return told;
    told.drawn = {
      ids,
      ...(first.logprobs && { logprobs: this.#logprobs(first.logprobs) }),
      ...(first.routed_experts && { experts: readRoutedExperts(first.routed_experts, ids.length) }),
    };
    return told;
  }

  /** The first is checked whole; to check each would cost more than all else that is done with it. */
  #parse(data: unknown): z.infer<typeof chunk> {
    if (this.#checked && Array.isArray((data as { choices?: unknown } | null)?.choices)) {
      return data as z.infer<typeof chunk>;
    }
    const parsed = chunk.safeParse({ choices: [], ...(data as object) });
    if (!parsed.success) throw new UpstreamMalformedError('vLLM told something else than a completion');
    this.#checked = true;
    return parsed.data;
  }

  #logprobs({ tokens, token_logprobs, top_logprobs }: Logprobs): TokenLogprob[] {
    return tokens.map((token, i) => {
      // With the token itself, where it is none of the likeliest.
      const top = Object.entries(top_logprobs[i] ?? {}).sort(([, a], [, b]) => b - a);
      return {
        ...this.#entry(token, token_logprobs[i] ?? least),
        top_logprobs: top.slice(0, this.#top).map(([name, logprob]) => this.#entry(name, logprob)),
      };
    });
  }

  #entry(token: string, logprob: number) {
    const id = Number(/^token_id:(\d+)$/.exec(token)?.[1] ?? Number.NaN);
    const bytes = this.#pieces.bytes(id);
    return {
      token: this.#pieces.label(id),
      logprob: Math.max(least, logprob),
      bytes: bytes.length === 0 ? null : [...bytes],
    };
  }
}
