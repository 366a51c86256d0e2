/** Some seconds of what `npx tsx --conditions=huozi-source test/fleet/soak.ts` does for half an hour. */
import { expect, it } from 'vitest';
import { soak } from './soak.ts';

it('no token is lost or told twice, and every count is what the clients saw, while nodes come and go', async () => {
  const outcome = await soak({ minutes: 0.1, nodes: 3, width: 4, killSeconds: 2 });
  expect(outcome.wrong).toEqual([]);
  expect(outcome.answers).toBeGreaterThan(40);
  expect(Object.keys(outcome.kills)).not.toEqual([]);
  expect(outcome.usage.owner.requests + outcome.unheard).toBe(outcome.answers);
}, 180_000);
