import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Piece, ToldLog } from './told-log.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const event = (number: number, size: number) => `id: ${number}\ndata: ${'x'.repeat(size)}\n\n`;

/** Pieces of one or more events each. */
function piecesOf(sizes: readonly number[], eventBytes: number): Piece[] {
  let number = 0;
  return sizes.map((size) => {
    const first = number + 1;
    let text = '';
    for (let at = 0; at < size; at++) text += event(++number, eventBytes);
    return { first, last: number, bytes: encode(text) };
  });
}

it('tells a reader everything after any event, from memory or from storage, once and in order', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(sizes, fc.nat(), fc.constantFrom(10, 20_000), fc.boolean(), (sizes, place, bytes, stored) => {
      const pieces = piecesOf(sizes, bytes);
      const total = pieces.at(-1)!.last;
      const log = new ToldLog(0, stored, (n) => pieces.find(({ last }) => last > n));
      for (const piece of pieces) log.tell(piece);
      const from = place % (total + 1);
      let at = from;
      let text = '';
      for (let next = log.after(at); next; next = log.after(at)) {
        expect(next.last).toBeGreaterThan(at);
        at = next.last;
        text += decode(next.bytes);
      }
      const expected = Array.from({ length: total - from }, (_, i) => event(from + i + 1, bytes)).join('');
      expect(text).toBe(expected);
    }),
    { numRuns: 60 },
  );
});

it('holds no more than a window of what is stored, and all of what is not', () => {
  const pieces = piecesOf(Array(40).fill(1), 20_000);
  const inMemory = (stored: boolean) => {
    const log = new ToldLog(0, stored, () => undefined);
    for (const piece of pieces) log.tell(piece);
    return log.pieces.length;
  };
  expect(inMemory(true)).toBeLessThanOrEqual(13);
  expect(inMemory(false)).toBe(40);
});
