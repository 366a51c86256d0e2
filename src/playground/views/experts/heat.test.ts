import { expect, it } from 'vitest';
import { evenCounts, shade } from './heat.ts';

it.each([
  [0, 10, 0],
  [1, 1_000, 1],
  [10, 10, 3],
  [20, 10, 6],
  [30, 10, 9],
  [900, 10, 9],
  [5, 0, 0],
])('%d where %d were even: shade %d', (count, evenly, expected) => {
  expect(shade(count, evenly)).toBe(expected);
});

it('an even spread adds up to what was routed', () => {
  const { expert, pair } = evenCounts(280, 8, 2);
  expect(expert * 8).toBe(280 * 2);
  // Ordered pairs, as the matrix has them.
  expect(pair * 8 * 7).toBe(280 * 2);
  expect(evenCounts(10, 1, 1)).toEqual({ expert: 10, pair: 0 });
});
