import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Sampling } from '../protocol.ts';
import { depth, fallingExp } from './falling-exp.ts';
import { Penalties } from './penalties.ts';
import { philox, tokenUniform } from './random.ts';
import { Sampler } from './sampler.ts';
import { greedy } from './testing/generate.ts';

const drawn = { ...greedy, temperature: 1 };

/** The plain way: sort everything, cut, let the rest race. */
function reference(logits: Float32Array, sampling: Sampling, position: number) {
  const { temperature, top_k, top_p, min_p, seed } = sampling;
  const most = Math.max(...logits);
  let kept = Array.from(logits, (logit, id) => ({
    id,
    logit,
    weight: Math.exp((logit - most) / temperature),
  }));
  kept.sort((a, b) => b.logit - a.logit || a.id - b.id);
  if (top_k > 0) kept = kept.slice(0, top_k);
  const all = kept.reduce((sum, { weight }) => sum + weight, 0);
  let sum = 0;
  kept = kept.filter(({ weight }) => {
    const inside = sum < top_p * all || top_p === 1;
    sum += weight;
    return inside;
  });
  const [a, b] = philox(seed, position, 0);
  const timeOf = ({ id, weight }: { id: number; weight: number }) =>
    -Math.log(tokenUniform(a, b, id)) / weight;
  const [first] = kept.filter(({ weight }) => weight >= min_p).sort((x, y) => timeOf(x) - timeOf(y));
  return first?.id;
}

/** Uniform in (0, 1). */
const uniform = (seed: number, i: number) => tokenUniform(seed, 77, i);

/** Logits as models have them: a few far above a broad bell. */
function rowOf(size: number, salt: number): Float32Array {
  const row = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    const spread =
      Math.sqrt(-2 * Math.log(1 - uniform(salt, i))) * Math.cos(2 * Math.PI * uniform(salt + 1, i));
    row[i] = 2.5 * spread + (uniform(salt + 2, i) < 5 / size ? 12 : 0);
  }
  return row;
}

describe('sampler', () => {
  it('is greedy at temperature 0: the first of the largest', () => {
    const sampler = new Sampler(5);
    expect(sampler.sample(Float32Array.of(1, 3, 2, 3, -1), 0, { ...greedy, top_k: 3, min_p: 1 }, 9)).toBe(1);
    expect(sampler.sample(Float32Array.of(9, 9, 0, -5, 1, 0, -1, 0), 3, greedy, 0)).toBe(1);
  });

  it('draws what sorting the whole vocabulary would draw', () => {
    const sampling = fc.record({
      temperature: fc.constantFrom(0.05, 0.3, 0.8, 1, 1.3, 2),
      top_k: fc.constantFrom(0, 0, 1, 2, 5, 40, 5000),
      top_p: fc.constantFrom(1, 1, 0.01, 0.5, 0.9, 0.95, 0.999),
      min_p: fc.constantFrom(0, 0, 0.02, 0.3, 1),
      seed: fc.integer({ min: 0, max: 0xffffffff }),
    });
    const size = fc.constantFrom(3, 50, 700, 3000);
    const salt = fc.integer({ min: 0, max: 1000 });
    fc.assert(
      fc.property(sampling, size, salt, (sampling, size, salt) => {
        const all = { ...drawn, ...sampling };
        const row = rowOf(size, salt);
        expect(new Sampler(size).sample(row, 0, all, 3)).toBe(reference(row, all, 3));
      }),
      { numRuns: 1000 },
    );
  });

  it('cuts ties by id and keeps the token that reaches top_p', () => {
    const row = Float32Array.of(0, 1, 1, 1, 0);
    const seen = (sampling: Partial<Sampling>) => {
      const sampler = new Sampler(5);
      const ids = Array.from({ length: 300 }, (_, i) => sampler.sample(row, 0, { ...drawn, ...sampling }, i));
      return [...new Set(ids)].sort();
    };
    expect(seen({ top_k: 2 })).toEqual([1, 2]);
    expect(seen({ top_p: 0.3 })).toEqual([1, 2]);
    expect(seen({ min_p: 0.5 })).toEqual([1, 2, 3]);
    expect(seen({})).toEqual([0, 1, 2, 3, 4]);
  });

  it('draws by probability', () => {
    const probabilities = [0.5, 0.25, 0.125, 0.0625, 0.0625];
    const row = Float32Array.from(probabilities, (p) => Math.log(p));
    const counts = [0, 0, 0, 0, 0];
    const sampler = new Sampler(5);
    for (let i = 0; i < 20_000; i++) counts[sampler.sample(row, 0, { ...drawn, seed: 5 }, i)]!++;
    // Standard deviation 0.0035 at most.
    for (const [id, p] of probabilities.entries())
      expect(Math.abs(counts[id]! / 20_000 - p)).toBeLessThan(0.015);
  });

  it('draws the same although logits are rounded otherwise', () => {
    let same = 0;
    for (let i = 0; i < 200; i++) {
      const row = rowOf(3000, i);
      const noisy = row.map((logit, id) => logit + 2e-3 * (uniform(i, id) - 0.5));
      const hot = { ...drawn, temperature: 2, seed: i };
      if (new Sampler(3000).sample(row, 0, hot, i) === new Sampler(3000).sample(noisy, 0, hot, i)) same++;
    }
    expect(same).toBeGreaterThanOrEqual(195);
  });

  it('depends on seed, position and logits alone', () => {
    const row = rowOf(500, 1);
    const other = rowOf(500, 2);
    const sampler = new Sampler(500);
    const alone = Array.from({ length: 50 }, (_, i) => new Sampler(500).sample(row, 0, drawn, i));
    const among = alone.map((_, i) => {
      sampler.sample(other, 0, { ...drawn, temperature: 0.3, top_p: 0.5, seed: 3 }, i);
      return sampler.sample(row, 0, drawn, i);
    });
    expect(among).toEqual(alone);
    expect(new Set(alone).size).toBeGreaterThan(3);
  });

  it('picks something even of logits that are no numbers', () => {
    for (const value of [Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]) {
      const id = new Sampler(4).sample(new Float32Array(4).fill(value), 0, { ...drawn, top_p: 0.9 }, 0);
      expect(id).toBeGreaterThanOrEqual(0);
      expect(id).toBeLessThan(4);
    }
  });

  it('has an exponential that is right to 10⁻¹¹', () => {
    for (let i = 0; i <= 10_000; i++) {
      const x = (i / 10_000) * depth;
      expect(Math.abs(fallingExp(x) / Math.exp(-x) - 1)).toBeLessThan(1e-11);
    }
  });
});

describe('penalties', () => {
  const prompt = Int32Array.of(1, 2);

  it('cost nothing when they are off', () => {
    expect(Penalties.of(greedy, prompt)).toBeUndefined();
  });

  it('repeat over prompt and answer, presence and frequency over the answer', () => {
    const sampling = { ...greedy, repetition_penalty: 2, presence_penalty: 0.5, frequency_penalty: 0.25 };
    const penalties = Penalties.of(sampling, prompt);
    penalties?.add(2);
    penalties?.add(2);
    penalties?.add(3);
    const logits = Float32Array.of(7, 7, 7, 4, 4, -4, 4, 4);
    penalties?.apply(logits, 3);
    // Rows before it and ids 0 and 4 untouched; 1 only repeated; 2 twice in the answer (a negative logit grows); 3 once.
    expect([...logits]).toEqual([7, 7, 7, 4, 2, -8 - 0.5 - 0.5, 2 - 0.5 - 0.25, 4]);
  });
});
