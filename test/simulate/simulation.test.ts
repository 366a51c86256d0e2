import { expect, test } from 'vitest';
import { affinity, roundRobin } from '../../src/routing/policy.ts';
import { type Setting, simulate } from './simulation.ts';

const setting: Setting = {
  nodes: 20,
  slots: 8,
  prefillRate: 4_000,
  decodeRate: 40,
  cacheTokens: 100_000,
  snapshotSeconds: 1,
  isolates: 5,
  utilisation: 0.7,
  requests: 8_000,
  seed: 7,
};

test('affinity finds far more in the caches than round robin, and is sooner', () => {
  const turns = simulate(roundRobin(), setting);
  const ours = simulate(affinity, setting);
  expect(ours.requests).toBe(8_000);
  expect(ours.hitRate).toBeGreaterThan(1.8 * turns.hitRate);
  expect(ours.ttft.p50).toBeLessThan(turns.ttft.p50);
  expect(ours.imbalance).toBeLessThan(1.5);
});

test('the same seed gives the same fleet', () => {
  expect(simulate(affinity, setting)).toEqual(simulate(affinity, setting));
});
