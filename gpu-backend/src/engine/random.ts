/**
 * Philox 2×32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a random number as a
 * pure function of key and counter. There is no state to carry along, so a generation that moves to another
 * node at position k draws there what it would have drawn here.
 */
const multiplier = 0xd256d193;
const weyl = 0x9e3779b9;

/** Uniform in [0, 1), 53 bits. `seed` and `position` are taken as unsigned 32-bit. */
export function uniform(seed: number, position: number): number {
  const [high, low] = philox(seed, position, 0);
  return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
}

export function philox(key: number, counter0: number, counter1: number): [number, number] {
  let a = counter0 >>> 0;
  let b = counter1 >>> 0;
  let k = key >>> 0;
  for (let round = 0; round < 10; round++) {
    const high = multiplyHigh(multiplier, a);
    const low = Math.imul(multiplier, a) >>> 0;
    a = (high ^ k ^ b) >>> 0;
    b = low;
    k = (k + weyl) >>> 0;
  }
  return [a, b];
}

/** Upper 32 bits of the product of two unsigned 32-bit numbers. */
function multiplyHigh(x: number, y: number): number {
  const xl = x & 0xffff;
  const xh = x >>> 16;
  const yl = y & 0xffff;
  const yh = y >>> 16;
  const middle = xh * yl + Math.floor((xl * yl) / 0x10000);
  const carry = xl * yh + (middle % 0x10000);
  return xh * yh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000);
}
