import { describe, expect, it } from 'vitest';
import { philox, uniform } from './random.ts';

describe('random numbers', () => {
  it("are Philox 2×32-10's: the known answers of Random123", () => {
    const hex = (key: number, a: number, b: number) => philox(key, a, b).map((word) => word.toString(16));
    expect(hex(0, 0, 0)).toEqual(['ff1dae59', '6cd10df2']);
    expect(hex(0xffffffff, 0xffffffff, 0xffffffff)).toEqual(['2c3f628b', 'ab4fd7ad']);
    expect(hex(0x13198a2e, 0x243f6a88, 0x85a308d3)).toEqual(['dd7ce038', 'f62a4c12']);
  });

  it('are spread evenly over [0, 1), and neighbouring seeds and positions are strangers', () => {
    const tenths = new Uint32Array(10);
    let product = 0;
    for (let i = 0; i < 20_000; i++) {
      const u = uniform(7, i);
      tenths[Math.floor(u * 10)]!++;
      product += (u - 0.5) * (uniform(8, i) - 0.5) + (u - 0.5) * (uniform(7, i + 1) - 0.5);
    }
    // 2,000 each, standard deviation 42; the mean of the products 0, standard deviation 0.0008.
    for (const count of tenths) expect(Math.abs(count - 2000)).toBeLessThan(200);
    expect(Math.abs(product / 20_000)).toBeLessThan(0.004);
  });
});
