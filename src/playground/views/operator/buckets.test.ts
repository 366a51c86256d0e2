import { expect, it } from 'vitest';
import { bucketsOf, type UsageRow } from './buckets.ts';

const hour = 3_600;
const row = (at: number, tokens: number, counts = [1, 0, 0]): UsageRow => ({
  hour: at,
  requests: 1,
  errors: 0,
  prompt_tokens: tokens,
  cached_tokens: 0,
  completion_tokens: 2 * tokens,
  ttft_ms: { bounds: [10, 20], counts },
});

it('of hours: each its own, with those in which nothing was used', () => {
  const range = { from: 10 * hour, to: 13 * hour, bucket: hour, offset: 0 };
  const buckets = bucketsOf([row(10 * hour, 5), row(12 * hour, 7), row(12 * hour, 1, [0, 3, 0])], range);
  expect(buckets).toEqual([
    { at: 10 * hour, requests: 1, prompt: 5, completion: 10, ttft50: 5, ttft95: 9.5 },
    { at: 11 * hour, requests: 0, prompt: 0, completion: 0, ttft50: undefined, ttft95: undefined },
    {
      at: 12 * hour,
      requests: 2,
      prompt: 8,
      completion: 16,
      ttft50: expect.any(Number),
      ttft95: expect.any(Number),
    },
  ]);
  expect(buckets[2]!.ttft50).toBeCloseTo(10 + 10 / 3);
});

it('of days: from midnight here, and sums stay', () => {
  const offset = 8 * hour;
  const rows = Array.from({ length: 72 }, (_, at) => row(at * hour, 1));
  const buckets = bucketsOf(rows, { from: 0, to: 72 * hour, bucket: 24 * hour, offset });
  expect(buckets.map(({ at }) => ((at + offset) / hour) % 24)).toEqual([0, 0, 0, 0]);
  expect(buckets.map(({ prompt }) => prompt)).toEqual([16, 24, 24, 8]);
});

it('of nothing is nothing', () => {
  expect(bucketsOf([], { from: 5, to: 5, bucket: hour, offset: 0 })).toHaveLength(1);
  expect(bucketsOf([], { from: 0, to: 0, bucket: hour, offset: 0 })).toEqual([]);
});
