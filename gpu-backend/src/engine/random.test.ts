import { describe, expect, it } from 'vitest';
import { philox, tokenUniform } from './random.ts';

describe('random numbers', () => {
  it("are Philox 2×32-10's: the known answers of Random123", () => {
    const hex = (key: number, a: number, b: number) => philox(key, a, b).map((word) => word.toString(16));
    expect(hex(0, 0, 0)).toEqual(['ff1dae59', '6cd10df2']);
    expect(hex(0xffffffff, 0xffffffff, 0xffffffff)).toEqual(['2c3f628b', 'ab4fd7ad']);
    expect(hex(0x13198a2e, 0x243f6a88, 0x85a308d3)).toEqual(['dd7ce038', 'f62a4c12']);
  });

  it('are spread evenly over (0, 1); neighbours in token, position and seed are strangers', () => {
    const at = (seed: number, position: number, id: number) => {
      const [a, b] = philox(seed, position, 0);
      return tokenUniform(a, b, id);
    };
    const tenths = new Uint32Array(10);
    const products = [0, 0, 0];
    for (let i = 0; i < 30_000; i++) {
      const u = at(7, i % 100, i);
      tenths[Math.floor(u * 10)]!++;
      const neighbours = [at(7, i % 100, i + 1), at(7, (i % 100) + 1, i), at(8, i % 100, i)];
      for (const [k, v] of neighbours.entries()) products[k]! += (u - 0.5) * (v - 0.5);
    }
    // 3,000 each, standard deviation 52; the mean of a product 0, standard deviation 0.0005.
    for (const count of tenths) expect(Math.abs(count - 3000)).toBeLessThan(250);
    for (const product of products) expect(Math.abs(product / 30_000)).toBeLessThan(0.0025);
  });
});
