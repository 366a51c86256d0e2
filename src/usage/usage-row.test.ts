import { expect, it } from 'vitest';
import { countOutcome, countUnsettled, emptyRow, hourOf, report } from './usage-row.ts';

const hour = hourOf(Date.UTC(2026, 10, 24, 12, 59, 59));
const outcome = {
  promptTokens: 5,
  cachedTokens: 2,
  completionTokens: 3,
  failed: false,
  retries: 1,
  migrations: 2,
  ttftMs: 40,
  durationMs: 700,
};

function rows() {
  const row = (key: string, model: string, at: number) => {
    const one = { ...emptyRow(model, at), key };
    countOutcome(one, outcome);
    return one;
  };
  return [row('k1', 'a', hour), row('k1', 'b', hour), row('k2', 'a', hour + 3600), row('k2', 'a', hour)];
}

it.each([
  [[], 1],
  [['key'], 2],
  [['model'], 2],
  [['hour'], 2],
  [['key', 'model', 'hour'], 4],
] as const)('grouped by %j: %i rows, whose sums are the same', (dimensions, count) => {
  const groups = report(rows(), dimensions);
  expect(groups).toHaveLength(count);
  const sum = (of: (group: (typeof groups)[number]) => number) =>
    groups.reduce((total, group) => total + of(group), 0);
  expect(sum((group) => group.requests)).toBe(4);
  expect(sum((group) => group.prompt_tokens)).toBe(20);
  expect(sum((group) => group.cached_tokens)).toBe(8);
  expect(sum((group) => group.retries)).toBe(4);
  expect(sum((group) => group.migrations)).toBe(8);
  expect(sum((group) => group.ttft_ms.counts[2]!)).toBe(4);
  expect(sum((group) => group.duration_ms.counts[6]!)).toBe(4);
});

it('of nothing is one row of zeros, or none by group', () => {
  expect(report([], [])).toMatchObject([{ requests: 0, prompt_tokens: 0 }]);
  expect(report([], ['model'])).toEqual([]);
});

it('counts what failed, what had no first token, what lies beyond all bounds, and what nobody reported', () => {
  const row = emptyRow('a', hour);
  countOutcome(row, { ...outcome, failed: true, ttftMs: undefined, durationMs: 1e9 });
  countUnsettled(row, 99);
  expect(row).toMatchObject({ requests: 2, errors: 2, prompt_tokens: 5, unsettled_tokens: 99 });
  expect(row.ttft.every((count) => count === 0)).toBe(true);
  expect(row.duration.at(-1)).toBe(1);
});

it('an hour begins on the hour', () => {
  expect(new Date(hour * 1000).toISOString()).toBe('2026-11-24T12:00:00.000Z');
});
