/** The soak, short: what only many requests show (memory) is for `npm run soak`. */
import { loadEngine, nodeDefaults } from 'huozi-gpu-backend';
import { expect, it } from 'vitest';
import { type Asked, nearTie, soak, surprises } from './soak.ts';

const options = { ...nodeDefaults, contextTokens: 1024, batchTokens: 64, threads: 1, gpuLayers: 0 };

it('no answer is mixed up, no slot lost, whatever is cancelled when', async () => {
  const engine = await loadEngine(options);
  const report = await soak(engine, { requests: 300, concurrency: 24, seed: 7 });
  expect(report.slotsAtEnd).toBe(options.slots);
  expect(engine.stats).toMatchObject({ active: 0, queued: 0, queuedTokens: 0, kvUsed: 0 });
  await engine.close();
  const counted = Object.values(report.byReason).reduce((sum, count) => sum + count, 0);
  expect(counted).toBe(300);
  for (const phase of Object.values(report.cancelled)) expect(phase).toBeGreaterThan(0);
  expect(report.byReason.stop).toBeGreaterThan(100);
  expect(report.cachedTokens).toBeGreaterThan(0);
  // The model echoes nearly always; where it did not, the mistake must be its own.
  expect(report.unlike.length).toBeLessThan(60);
  for (const gap of await surprises(options.modelPath, report.unlike)) expect(gap).toBeLessThan(nearTie);
  // And that test tells: answers to their own questions pass, one to another's does not.
  const [first, second] = report.whole as [Asked, Asked];
  const [own, other] = await surprises(options.modelPath, [first, { ...first, ids: second.ids }]);
  expect(own).toBeLessThan(nearTie);
  expect(other).toBeGreaterThan(4 * nearTie);
});
