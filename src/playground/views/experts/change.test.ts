import { expect, it } from 'vitest';
import type { ExpertsBody } from '../../../experts/sum-telemetry.ts';
import { allOf, changeOf } from './change.ts';

function body(counts: number[], since = 1): ExpertsBody {
  const tokens = counts.reduce((sum, count) => sum + count, 0) / 2;
  const layer = {
    tokens,
    counts,
    entropy: 0,
    imbalance: 1,
    co_activation: counts.map((_, row) => counts.map((__, column) => counts[row]! + counts[column]!)),
  };
  const sums = { steps: 1, steps_sampled: 1, tokens_sampled: tokens, sampling_cost: 0 };
  const nodes: ExpertsBody['nodes'] = [{ id: 'a', status: 'counted', mode: 'sampled', since }];
  const asked = { object: 'experts', model: 'huozi', asked_at: 0 } as const;
  return { ...asked, experts: counts.length, experts_used: 2, ...sums, layers: [layer], nodes };
}

it('is the difference, measured by itself', () => {
  const [change] = changeOf(body([10, 10, 0, 0]), body([14, 14, 4, 4]))!;
  expect(change).toEqual({
    tokens: 8,
    counts: [4, 4, 4, 4],
    entropy: 2,
    imbalance: 1,
    together: Array.from({ length: 4 }, () => [8, 8, 8, 8]),
  });
});

it('is unknown across a node that started anew, and of other nodes or shapes', () => {
  const before = body([10, 10]);
  expect(changeOf(before, body([1, 1], 2))).toBeUndefined();
  expect(changeOf(before, body([11, 11, 1]))).toBeUndefined();
  expect(changeOf(before, { ...body([11, 11]), nodes: [] })).toBeUndefined();
  const silent = { ...before.nodes[0]!, status: 'silent' as const };
  expect(changeOf(before, { ...before, nodes: [silent] })).toBeUndefined();
});

it('is never less than nothing', () => {
  expect(changeOf(body([5, 5]), body([4, 6]))![0]!.counts).toEqual([0, 1]);
});

it('all of it is as the nodes said', () => {
  expect(allOf(body([2, 2]))[0]).toMatchObject({
    tokens: 2,
    counts: [2, 2],
    together: [
      [4, 4],
      [4, 4],
    ],
  });
});
