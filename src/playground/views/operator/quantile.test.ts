import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyHistogram, histogramBounds, observe } from '../../../usage/histogram.ts';
import { between, quantile } from './quantile.ts';

const bounds = [10, 20, 50];

describe('a quantile', () => {
  it.each([
    [[0, 0, 0, 0], 0.5, undefined],
    [[4, 0, 0, 0], 0.5, 5],
    [[2, 2, 0, 0], 0.5, 10],
    [[2, 2, 0, 0], 0.75, 15],
    [[1, 0, 3, 0], 1, 50],
    [[0, 0, 0, 9], 0.1, 50],
    [[1, 0, 0, 9], 0.95, 50],
  ])('%j at %d: %d', (counts, q, expected) => {
    expect(quantile({ bounds, counts }, q)).toBe(expected);
  });

  it('lies in the bucket of the time that it stands for', () => {
    const times = fc.array(fc.integer({ min: 1, max: 299_999 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(times, fc.constantFrom(0.5, 0.95, 1), (some, q) => {
        const counts = emptyHistogram();
        for (const time of some) observe(counts, time);
        const exact = some.toSorted((a, b) => a - b)[Math.ceil(q * some.length) - 1]!;
        const at = histogramBounds.findIndex((bound) => exact <= bound);
        const found = quantile({ bounds: histogramBounds, counts }, q)!;
        expect(found).toBeGreaterThanOrEqual(histogramBounds[at - 1] ?? 0);
        expect(found).toBeLessThanOrEqual(histogramBounds[at]!);
      }),
    );
  });
});

it('between two looks: the difference, unless an hour ended', () => {
  const look = (...counts: number[]) => ({ bounds, counts });
  expect(between(look(1, 0, 0, 2), look(1, 3, 0, 2))).toEqual(look(0, 3, 0, 0));
  expect(between(look(1, 0, 0, 2), look(0, 3, 0, 2))).toBeUndefined();
});
