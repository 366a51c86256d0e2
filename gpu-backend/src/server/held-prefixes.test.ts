import { expect, test } from 'vitest';
import { HeldPrefixes } from './held-prefixes.ts';

function keysOf(held: HeldPrefixes): number[] {
  const bytes = Uint8Array.from(Buffer.from(held.toBase64(), 'base64'));
  return [...new Uint32Array(bytes.buffer)];
}

test('tells the keys that were used, the newest last', () => {
  const held = new HeldPrefixes();
  held.use([1, 2], 100, 1000);
  held.use([1, 4_294_967_295], 100, 1000);
  expect(keysOf(held)).toEqual([2, 1, 4_294_967_295]);
});

test('forgets what was used least recently, when the cache cannot hold all', () => {
  const held = new HeldPrefixes();
  held.use([1], 600, 1000);
  held.use([2], 300, 1000);
  held.use([1], 600, 1000);
  held.use([3], 200, 1000);
  expect(keysOf(held)).toEqual([1, 3]);
});

test('never grows without bound', () => {
  const held = new HeldPrefixes();
  for (let key = 0; key < 5000; key++) held.use([key], 1, 1e9);
  expect(keysOf(held)).toHaveLength(1024);
});
