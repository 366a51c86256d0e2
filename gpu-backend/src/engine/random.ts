/**
 * Philox 2×32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a random number as a
 * pure function of key and counter. There is no state to carry along, so a generation that moves to another
 * node at position k draws there what it would have drawn here.
 */
const multiplier = 0xd256d193;
const weyl = 0x9e3779b9;

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

/**
 * Uniform in (0, 1), 32 bits, one for each token that could come at a position. Philox would cost more than all
 * else of a draw from 57,000 tokens; here two rounds of a 32-bit mixer (lowbias32, C. Wellons) spread what Philox
 * made of seed and position.
 * @param a and b the words of `philox(seed, position, 0)`
 */
export function tokenUniform(a: number, b: number, id: number): number {
  return uniform(mix(mix(id + a) + b));
}

/** 32 bits → (0, 1). */
export function uniform(bits: number): number {
  return ((bits >>> 0) + 0.5) / 2 ** 32;
}

function mix(x: number): number {
  let y = x ^ (x >>> 16);
  y = Math.imul(y, 0x7feb352d);
  y ^= y >>> 15;
  y = Math.imul(y, 0x846ca68b);
  return y ^ (y >>> 16);
}
