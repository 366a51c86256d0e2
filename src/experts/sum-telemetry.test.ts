import fc from 'fast-check';
import type { ExpertLayer, ExpertTelemetry } from 'huozi-gpu-backend/protocol';
import { describe, expect, it } from 'vitest';
import { entropy, imbalance } from '../../gpu-backend/src/expert-balance.ts';
import { sumTelemetry } from './sum-telemetry.ts';

const layer = (counts: number[]): ExpertLayer => ({
  tokens: counts.reduce((sum, count) => sum + count, 0) / 2,
  counts,
  // Wrong on purpose: the sum's own is what counts.
  entropy: 99,
  imbalance: 99,
  co_activation: counts.map((count, a) =>
    counts.map((other, b) => (a === b ? count : Math.min(count, other))),
  ),
});
const telemetry = (layers: number[][], more: Partial<ExpertTelemetry> = {}): ExpertTelemetry => ({
  mode: 'sampled',
  since: 100,
  experts: layers[0]!.length,
  experts_used: 2,
  steps: 10,
  steps_sampled: 1,
  tokens_sampled: 5,
  sampling_cost: 0.01,
  layers: layers.map(layer),
  ...more,
});
const sum = (...told: (ExpertTelemetry | undefined)[]) =>
  sumTelemetry(
    'huozi',
    told.map((one, at) => ({ id: `n${at}`, telemetry: one })),
    5_000,
  );

it('adds counts up and measures the sums, so that a busy node weighs more than an idle one', () => {
  const body = sum(
    telemetry([[600, 200, 0, 0]], { steps: 90, sampling_cost: 0.02 }),
    telemetry([[0, 0, 1, 1]], { steps: 10, sampling_cost: 0 }),
  );
  expect(body).toMatchObject({
    object: 'experts',
    asked_at: 5_000,
    experts: 4,
    experts_used: 2,
    steps: 100,
    steps_sampled: 2,
    tokens_sampled: 10,
  });
  expect(body.sampling_cost).toBeCloseTo(0.018);
  const [only] = body.layers;
  expect(only).toMatchObject({ tokens: 401, counts: [600, 200, 1, 1] });
  expect(only!.co_activation[0]).toEqual([600, 200, 0, 0]);
  expect(only!.co_activation[2]).toEqual([0, 0, 1, 1]);
  // Of 802, by hand; the mean of the two nodes' own would be 0.906 bits.
  expect(only!.entropy).toBeCloseTo(0.836_91, 4);
  expect(only!.imbalance).toBeCloseTo((600 * 4) / 802);
});

it('names who is not in the sums, and why', () => {
  const none = { mode: 'unavailable' as const };
  const body = sum(
    undefined,
    telemetry([[0, 0]], none),
    telemetry([[4, 2]], { mode: 'off' }),
    telemetry([[9, 9, 9]]),
    telemetry([[1, 1]], { since: 200 }),
  );
  expect(body.layers[0]!.counts).toEqual([5, 3]);
  expect(body.nodes).toEqual([
    { id: 'n0', status: 'silent', mode: null, since: null },
    { id: 'n1', status: 'unavailable', mode: 'unavailable', since: 100 },
    { id: 'n2', status: 'counted', mode: 'off', since: 100 },
    { id: 'n3', status: 'other_shape', mode: 'sampled', since: 100 },
    { id: 'n4', status: 'counted', mode: 'sampled', since: 200 },
  ]);
});

it('of nodes that cannot tell has no layers', () => {
  const body = sum(telemetry([[0, 0]], { mode: 'unavailable' }));
  expect(body).toMatchObject({ experts: 2, steps: 0, sampling_cost: 0, layers: [] });
});

describe('how evenly', () => {
  it.each([
    [[0, 0, 0, 0], 0, 1],
    [[5, 5, 5, 5], 2, 1],
    [[20, 0, 0, 0], 0, 4],
    [[3, 1], 0.8113, 1.5],
  ])('%j: %f bits, imbalance %f', (counts, bits, ratio) => {
    expect(entropy(counts)).toBeCloseTo(bits, 4);
    expect(imbalance(counts)).toBeCloseTo(ratio, 4);
  });

  it('lies between nothing and all alike, whatever was counted', () => {
    const counted = fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 16 });
    fc.assert(
      fc.property(counted, (counts) => {
        expect(entropy(counts)).toBeGreaterThanOrEqual(0);
        expect(entropy(counts)).toBeLessThanOrEqual(Math.log2(counts.length) + 1e-9);
        expect(imbalance(counts)).toBeGreaterThanOrEqual(1);
        expect(imbalance(counts)).toBeLessThanOrEqual(counts.length);
      }),
    );
  });
});
