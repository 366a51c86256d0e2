import { expect, test } from 'vitest';
import { SamplingBudget } from './sampling-budget.ts';

/** Steps of `plain` ms, longer by `cost(n)` ms when looked into. @returns share of the time that looking took */
function run(
  budget: SamplingBudget,
  steps: number,
  plain: (n: number) => number,
  cost: (n: number) => number,
) {
  let [looks, extra, time] = [0, 0, 0];
  for (let n = 0; n < steps; n++) {
    const ms = plain(n);
    time += ms;
    if (budget.isEarned) {
      looks++;
      extra += cost(n);
      time += cost(n);
      budget.looked(8, ms + cost(n));
    } else budget.plain(8, ms);
  }
  return { looks, share: extra / time };
}

test.each([
  ['guessed right', 5],
  ['guessed ten times too little', 0.5],
  ['guessed ten times too much', 50],
])('what looking takes stays at the share that it may take: %s', (_, guess) => {
  const { looks, share } = run(
    new SamplingBudget(0.02, guess),
    20_000,
    () => 50,
    () => 5,
  );
  expect(share).toBeGreaterThan(0.015);
  expect(share).toBeLessThan(0.0205);
  expect(looks).toBeGreaterThan(2500 * 0.7);
});

test('noise of the machine makes it neither cheap nor dear', () => {
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const budget = new SamplingBudget(0.02, 5);
  const { share } = run(
    budget,
    20_000,
    () => 40 + 20 * random(),
    () => 5,
  );
  expect(share).toBeGreaterThan(0.008);
  expect(share).toBeLessThan(0.025);
  expect(budget.spentShare).toBeLessThan(0.0205);
});

test('a look that becomes dearer happens less often', () => {
  const budget = new SamplingBudget(0.02, 1);
  const before = run(
    budget,
    5000,
    () => 10,
    () => 1,
  );
  const after = run(
    budget,
    5000,
    () => 10,
    () => 8,
  );
  expect(after.looks).toBeLessThan(before.looks / 4);
  expect(after.share).toBeLessThan(0.03);
});

test('looks need no step of a known length', () => {
  const budget = new SamplingBudget(0.02, 1);
  for (let n = 0; n < 100; n++) budget.plain(n, 10);
  expect(budget.isEarned).toBe(true);
  budget.looked(999, 50);
  expect(budget.spentShare).toBeCloseTo(1 / 1050, 3);
});
