import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ticks } from './ticks.ts';

it.each([
  [0, [0, 1]],
  [1, [0, 0.5, 1]],
  [0.3, [0, 0.1, 0.2, 0.3]],
  [7, [0, 2, 4, 6, 8]],
  [100, [0, 50, 100]],
  [1_234, [0, 500, 1_000, 1_500]],
  [Number.NaN, [0, 1]],
])('%d: %j', (most, expected) => {
  expect(ticks(most)).toEqual(expected);
});

it('reaches what it must and not much more, in few steps', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1e12, noNaN: true }), (most) => {
      const found = ticks(most);
      expect(found.length).toBeLessThanOrEqual(6);
      expect(found.at(-1)! * 1.000_001).toBeGreaterThanOrEqual(most);
      expect(found.at(-2)!).toBeLessThan(most);
    }),
  );
});
