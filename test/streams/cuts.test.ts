/** A real node. The whole run, 500 streams, is `test/streams/cuts.ts`. */
import { expect, it } from 'vitest';
import { cutStreams } from './cuts.ts';

it('streams that are cut 1 to 5 times come whole, every byte once', async () => {
  const outcome = await cutStreams(30);
  expect(outcome.failures).toEqual([]);
  expect(outcome.exact).toBe(30);
  expect(outcome.cuts).toBeGreaterThanOrEqual(30);
}, 120_000);
