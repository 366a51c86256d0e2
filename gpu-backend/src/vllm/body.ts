/** A request in the words of vLLM's `/v1/completions`. */
import { createHmac } from 'node:crypto';
import { UnsupportedFieldError } from '../upstream/errors.ts';
import type { UpstreamRequest } from '../upstream/upstream-engine.ts';
import { structuredOutputs } from './structured-outputs.ts';

export interface BodyOptions {
  /** Served name there. */
  model: string;
  /** Whether it was started with `--scheduling-policy priority`; else it refuses any but 0. */
  hasPriority: boolean;
  /** Key of the hash that keeps the prefixes of tenants apart. */
  saltKey: Uint8Array;
}

const engine = 'vLLM';

/** @throws UnsupportedFieldError for what vLLM lacks */
export function completionBody(request: UpstreamRequest, options: BodyOptions): object {
  const { sampling, continueIds = [], ends, grammar } = request;
  if (sampling.dry && sampling.dry.multiplier > 0) throw new UnsupportedFieldError('sampling.dry', engine);
  if ((sampling.typical_p ?? 1) < 1) throw new UnsupportedFieldError('sampling.typical_p', engine);
  if (grammar && continueIds.length > 0) {
    const why = 'cannot go on inside of an answer that a grammar holds';
    throw new UnsupportedFieldError('continue_ids', engine, why);
  }
  const { temperature, top_p, top_k, min_p } = sampling;
  const { repetition_penalty, presence_penalty, frequency_penalty } = sampling;
  const bias = logitBias(request);
  return {
    model: request.adapter ?? options.model,
    prompt: request.allIds,
    max_tokens: request.room,
    ...{ temperature, top_p, top_k, min_p, repetition_penalty, presence_penalty, frequency_penalty },
    seed: seedOf(request),
    // All ends are named, so that what the model's own files call its end changes nothing.
    ignore_eos: true,
    stop_token_ids: ends,
    min_tokens: Math.min(request.room, Math.max(0, (request.minTokens ?? 0) - continueIds.length)),
    ...(bias && { logit_bias: bias }),
    ...(request.logprobs !== undefined && {
      logprobs: request.logprobs,
      return_tokens_as_token_ids: true,
    }),
    ...(grammar && { structured_outputs: structuredOutputs(grammar) }),
    return_token_ids: true,
    // Of no use to anybody: text is made here.
    skip_special_tokens: false,
    cache_salt: createHmac('sha256', options.saltKey)
      .update(request.tenant ?? '')
      .digest('base64url'),
    // Lower goes first there.
    ...(options.hasPriority && { priority: -(request.priority ?? 0) }),
    ...(request.returnExperts
      ? { stream: false, routed_experts_prompt_start: request.allIds.length - 1 }
      : { stream: true, stream_options: { include_usage: true } }),
  };
}

/**
 * vLLM draws with a generator of its own that begins anew with each request. An answer that goes on must not repeat
 * the draws that it began with, so its seed depends on where it goes on; what it would have been without the cut is
 * out of reach.
 */
function seedOf({ sampling: { seed }, continueIds = [] }: UpstreamRequest): number {
  return continueIds.length === 0 ? seed : (seed + Math.imul(continueIds.length, 0x9e3779b1)) >>> 0;
}

/**
 * To vLLM the answer so far is prompt, to which presence and frequency penalties do not apply. Both are subtractions,
 * so they can be asked for as bias. A token that comes again after the cut loses `presence_penalty` twice.
 */
function logitBias({ sampling, continueIds = [] }: UpstreamRequest): Record<string, number> | undefined {
  const { presence_penalty, frequency_penalty } = sampling;
  if (continueIds.length === 0 || (presence_penalty === 0 && frequency_penalty === 0)) {
    return sampling.logit_bias;
  }
  const counts = new Map<number, number>();
  for (const id of continueIds) counts.set(id, (counts.get(id) ?? 0) + 1);
  const bias: Record<string, number> = { ...sampling.logit_bias };
  for (const [id, count] of counts) {
    const changed = (bias[id] ?? 0) - presence_penalty - frequency_penalty * count;
    bias[id] = Math.max(-100, Math.min(100, changed));
  }
  return bias;
}
