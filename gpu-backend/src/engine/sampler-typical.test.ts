import { describe, expect, it } from 'vitest';
import type { Sampling } from '../protocol.ts';
import { Sampler } from './sampler.ts';
import { greedy } from './testing/generate.ts';

const open: Sampling = { ...greedy, temperature: 1 };

/** Every token that comes in many draws. */
function drawn(logits: Float32Array, sampling: Sampling, draws = 3000): Set<number> {
  const sampler = new Sampler(logits.length);
  return new Set(
    Array.from({ length: draws }, (_, position) => sampler.sample(logits, 0, sampling, position)),
  );
}

/** By the definition, over `logits` after temperature. */
function typical(logits: Float32Array, temperature: number, share: number): Set<number> {
  const weights = [...logits].map((logit) => Math.exp(logit / temperature));
  const mass = weights.reduce((a, b) => a + b, 0);
  const surprise = weights.map((weight) => -Math.log(weight / mass));
  const entropy = weights.reduce((sum, weight, i) => sum + (weight / mass) * (surprise[i] as number), 0);
  const order = [...weights.keys()].sort(
    (a, b) =>
      Math.abs((surprise[a] as number) - entropy) - Math.abs((surprise[b] as number) - entropy) || a - b,
  );
  const kept = new Set<number>();
  let sum = 0;
  for (const id of order) {
    if (sum >= share * mass) break;
    kept.add(id);
    sum += weights[id] as number;
  }
  return kept;
}

describe('typical_p', () => {
  it('keeps what its definition keeps', () => {
    let seed = 5;
    for (const temperature of [0.7, 1, 1.6]) {
      for (const share of [0.2, 0.5, 0.9]) {
        const logits = Float32Array.from({ length: 12 }, () => {
          seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
          return (seed / 2 ** 32) * 5;
        });
        const kept = typical(logits, temperature, share);
        expect(drawn(logits, { ...open, temperature, typical_p: share }), `${temperature} ${share}`).toEqual(
          kept,
        );
      }
    }
  });

  it('may leave out the best token, and looks only at what the other cuts have kept', () => {
    // One token of 0.4, and thirty of 0.02: what is typical is one of the thirty.
    const logits = Float32Array.from({ length: 31 }, (_, id) => Math.log(id === 0 ? 0.4 : 0.02));
    expect(drawn(logits, { ...open, typical_p: 0.5 })).not.toContain(0);
    expect(drawn(logits, { ...open, top_k: 1, typical_p: 0.5 })).toEqual(new Set([0]));
    expect(drawn(logits, { ...open, typical_p: 1 })).toContain(0);
  });
});

describe('a draw from everything', () => {
  it('finds the many unlikely tokens as often as they weigh together, each like the next', () => {
    const size = 60_000;
    // Beyond what runs for itself: two kinds, the second half a third as likely as the first.
    const logits = new Float32Array(size).fill(-14.2, 1, size / 2).fill(-14.2 - Math.log(3), size / 2);
    const sampler = new Sampler(size);
    const draws = 5_000;
    let [first, second] = [0, 0];
    for (let position = 0; position < draws; position++) {
      const id = sampler.sample(logits, 0, open, position);
      if (id >= size / 2) second++;
      else if (id > 0) first++;
    }
    const weight = (size / 2) * Math.exp(-14.2);
    const total = 1 + weight + weight / 3;
    // Five standard deviations.
    expect(Math.abs(first - (draws * weight) / total)).toBeLessThan(5 * Math.sqrt((draws * weight) / total));
    expect(Math.abs(second - (draws * weight) / 3 / total)).toBeLessThan(
      5 * Math.sqrt((draws * weight) / 3 / total),
    );
    expect(second).toBeGreaterThan(10);
  });
});
