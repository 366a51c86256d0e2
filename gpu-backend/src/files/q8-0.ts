/** ggml's Q8_0: blocks of 32 weights, each a half-precision scale and 32 signed bytes. */
import { toHalf } from './float-formats.ts';

export const q8BlockWeights = 32;
export const q8BlockBytes = 34;

/**
 * As `quantize_row_q8_0_ref` rounds, bit for bit: all in float32, halves away from zero.
 *
 * @param source a multiple of 32 weights
 * @param target 34 bytes for each 32 weights
 */
export function quantizeQ8(source: Float32Array, target: Uint8Array): void {
  const words = new Int32Array(source.buffer, source.byteOffset, source.length);
  const quants = new Int8Array(target.buffer, target.byteOffset, target.length);
  let at = 0;
  for (let start = 0; start < source.length; start += q8BlockWeights) {
    let largest = 0;
    for (let i = start; i < start + q8BlockWeights; i++) {
      const magnitude = Math.abs(source[i]!);
      if (magnitude > largest) largest = magnitude;
    }
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    const half = toHalf(scale);
    target[at] = half & 255;
    target[at + 1] = half >>> 8;
    at += 2;
    for (let i = start; i < start + q8BlockWeights; i++) {
      // roundf of at most 127: adding a half loses nothing in a double. The sign is put back without a branch,
      // which would be mispredicted every other time and cost as much as all the rest.
      const magnitude = (Math.fround(Math.abs(source[i]!) * inverse) + 0.5) | 0;
      const sign = words[i]! >> 31;
      quants[at++] = (magnitude ^ sign) - sign;
    }
  }
}
