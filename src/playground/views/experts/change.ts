/** What the nodes counted between two looks at them. Pure. */
import { entropy, imbalance } from '../../../../gpu-backend/src/expert-balance.ts';
import type { ExpertsBody } from '../../../experts/sum-telemetry.ts';

/** As the map draws it. Counts are tokens. */
export interface LayerUse {
  tokens: number;
  counts: readonly number[];
  /** Bits. */
  entropy: number;
  imbalance: number;
  together: readonly (readonly number[])[];
}

export function allOf({ layers }: ExpertsBody): LayerUse[] {
  return layers.map(({ co_activation, ...layer }) => ({ ...layer, together: co_activation }));
}

/**
 * Undefined when they cannot be compared: a node came, went or started anew, and its counts with it. `before` is the
 * older.
 */
export function changeOf(before: ExpertsBody, after: ExpertsBody): LayerUse[] | undefined {
  if (signature(before) !== signature(after)) return undefined;
  return after.layers.map((layer, at) => {
    const { tokens, counts, co_activation } = before.layers[at]!;
    const change = subtract(layer.counts, counts);
    return {
      tokens: layer.tokens - tokens,
      counts: change,
      entropy: entropy(change),
      imbalance: imbalance(change),
      together: layer.co_activation.map((row, expert) => subtract(row, co_activation[expert]!)),
    };
  });
}

function signature({ model, layers, experts, nodes }: ExpertsBody): string {
  const counted = nodes.map(({ id, status, since }) => `${id} ${status} ${since}`);
  return [model, layers.length, experts, ...counted].join('\n');
}

/** One of two reads that crossed on their way may be the older, whatever their order. */
function subtract(after: readonly number[], before: readonly number[]): number[] {
  return after.map((count, at) => Math.max(0, count - before[at]!));
}
