/** What changes a row of logits before a token is drawn from it, in the order of vLLM. */
import type { Sampling } from '../protocol.ts';
import { Dry } from './dry.ts';
import { Penalties } from './penalties.ts';
import type { TokenPieces } from './token-pieces.ts';
import type { GenerationRequest } from './types.ts';

export interface LogitChange {
  /** A token of the answer. */
  add(id: number): void;
  /** Changes one row of logits in place; it is this step's own and the next step overwrites it. */
  apply(logits: Float32Array, offset: number): void;
}

/** Those that a request asks for: usually none, and then nothing is paid. */
export function logitChanges(
  { sampling, promptIds, minTokens = 0 }: GenerationRequest,
  stopIds: ReadonlySet<number>,
  pieces: TokenPieces,
): readonly LogitChange[] {
  const changes = [
    logitBias(sampling),
    minTokens > 0 && noEndBefore(minTokens, stopIds),
    Penalties.of(sampling, promptIds),
    sampling.dry && sampling.dry.multiplier > 0 && new Dry(sampling.dry, promptIds, pieces),
  ];
  return changes.filter((change) => !!change);
}

function logitBias({ logit_bias = {} }: Sampling): LogitChange | undefined {
  const biases = Object.entries(logit_bias).map(([id, bias]) => [Number(id), bias] as const);
  if (biases.length === 0) return undefined;
  return {
    add: () => undefined,
    apply(logits, offset) {
      for (const [id, bias] of biases) logits[offset + id]! += bias;
    },
  };
}

function noEndBefore(tokens: number, stopIds: ReadonlySet<number>): LogitChange {
  let count = 0;
  return {
    add: () => count++,
    apply(logits, offset) {
      if (count >= tokens) return;
      for (const id of stopIds) logits[offset + id] = Number.NEGATIVE_INFINITY;
    },
  };
}
