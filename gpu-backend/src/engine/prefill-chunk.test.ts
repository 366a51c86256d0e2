import { expect, it } from 'vitest';
import { PrefillChunk } from './prefill-chunk.ts';

/** Runs steps that cost `fixed` and so much a prompt token beside `decodeMs` of decoding. @returns the last chunk */
function settle(
  decodeMs: number,
  fixed: number,
  msPerToken: number,
  chunk = new PrefillChunk(100, 256),
): number {
  for (let i = 0; i < 50; i++)
    chunk.step(decodeMs + fixed + msPerToken * chunk.tokens, decodeMs, chunk.tokens);
  return chunk.tokens;
}

it.each([
  ['a fast machine takes all that it may', 10, 0, 0.1, 256, 256],
  ['so many as the step has time for', 10, 0, 1, 64, 128],
  ['a price of the step itself does not make it creep', 10, 40, 0.4, 96, 150],
  ['as long as the decoding, where that is slow', 300, 0, 2, 96, 160],
  ['never less than a step is worth', 10, 0, 50, 32, 32],
])('%s', (_, decodeMs, fixed, msPerToken, low, high) => {
  const tokens = settle(decodeMs, fixed, msPerToken);
  expect(tokens).toBeGreaterThanOrEqual(low);
  expect(tokens).toBeLessThanOrEqual(high);
});

it('recovers from a step that was slow for another reason', () => {
  const chunk = new PrefillChunk(100, 256);
  chunk.step(5000, 10, 256);
  expect(chunk.tokens).toBe(32);
  expect(settle(10, 0, 0.1, chunk)).toBe(256);
});

it('learns nothing from the rest of a prompt, which is short', () => {
  const chunk = new PrefillChunk(100, 256);
  chunk.step(5000, 10, 256);
  chunk.step(11, 10, 3);
  expect(chunk.tokens).toBe(32);
});
