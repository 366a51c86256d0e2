import { expect, it } from 'vitest';
import { Throughput } from './throughput.ts';

it('learns what prompt and answer tokens cost, also from steps that have both', () => {
  const throughput = new Throughput();
  expect(throughput.estimate(1000, 1000)).toBe(0);
  for (let i = 0; i < 100; i++) {
    throughput.step(20, 4, 0);
    throughput.step(20 + 50, 4, 100);
  }
  expect(throughput.estimate(100, 0)).toBeCloseTo(50, 1);
  expect(throughput.estimate(0, 4)).toBeCloseTo(20, 1);
  expect(throughput.estimate(100, 4)).toBeCloseTo(70, 1);
  // The machine is twice as slow from now on.
  for (let i = 0; i < 100; i++) throughput.step(40, 4, 0);
  expect(throughput.estimate(0, 4)).toBeCloseTo(40, 1);
});

it('averages the length of answers', () => {
  const throughput = new Throughput();
  expect(throughput.answerTokens).toBe(0);
  for (let i = 0; i < 200; i++) throughput.answered(i % 2 ? 10 : 30);
  expect(throughput.answerTokens).toBeGreaterThan(15);
  expect(throughput.answerTokens).toBeLessThan(25);
});

it('tells its rates, and nothing before it has measured', () => {
  const throughput = new Throughput();
  expect(throughput.prefillTokensPerSecond).toBe(0);
  expect(throughput.answerSeconds(8)).toBe(0);
  throughput.step(20, 4, 0);
  throughput.step(120, 4, 50);
  throughput.answered(100);
  expect(throughput.prefillTokensPerSecond).toBeCloseTo(500);
  // 100 tokens at 5 ms of the engine each, while 8 take turns.
  expect(throughput.answerSeconds(8)).toBeCloseTo(4);
});
