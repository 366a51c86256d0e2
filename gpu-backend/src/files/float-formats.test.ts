import { describe, expect, it } from 'vitest';
import { decodeFloats, encodeFloats, toHalf } from './float-formats.ts';

const halves = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);

describe.each(['F16', 'BF16'] as const)('%s', (type) => {
  it('comes back from float32 as it was, all 65,536 numbers', () => {
    const floats = new Float32Array(65_536);
    decodeFloats(type, new Uint8Array(halves.buffer), floats);
    const back = new Uint16Array(65_536);
    encodeFloats(type, floats, new Uint8Array(back.buffer));
    expect(halves.filter((bits) => !Number.isNaN(floats[bits]) && back[bits] !== bits)).toHaveLength(0);
  });

  it('rounds a number between two neighbours to the nearer, and from the middle to the even one', () => {
    const floats = new Float32Array(65_536);
    decodeFloats(type, new Uint8Array(halves.buffer), floats);
    const out = new Uint16Array(3);
    for (let bits = 0; Number.isFinite(floats[bits + 1]!); bits++) {
      const [low, high] = [floats[bits]!, floats[bits + 1]!];
      const middle = (low + high) / 2;
      // Halfway lies a float32 unless both are its own subnormals; the quarters are then exact too.
      if (Math.fround(middle) !== middle || low === 0) continue;
      const quarters = Float32Array.of(low + (high - low) / 4, middle, high - (high - low) / 4);
      encodeFloats(type, quarters, new Uint8Array(out.buffer));
      const expected = [bits, bits % 2 === 0 ? bits : bits + 1, bits + 1];
      if ([...out].join() !== expected.join()) expect([bits, ...out]).toEqual([bits, ...expected]);
    }
  });
});

it.each([
  [65_504, 0x7bff],
  [65_519.99, 0x7bff],
  [65_520, 0x7c00],
  [1e30, 0x7c00],
  [-1e30, 0xfc00],
  [-0, 0x8000],
  [2 ** -24, 1],
  [2 ** -25, 0],
  [2 ** -25 * 1.001, 1],
  [2 ** -24 * 1.5, 2],
])('rounds %d to the half-precision number %d', (value, bits) => {
  expect(toHalf(value)).toBe(bits);
});
