/** Between the float formats of checkpoints, as torch and numpy round: to nearest, ties to even. */
import type { FloatType } from './safetensors.ts';

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The value of each of the 65,536 half-precision numbers: a look-up beats the arithmetic by far. */
let halfValues: Float32Array | undefined;

function halfTable(): Float32Array {
  if (halfValues) return halfValues;
  const table = new Float32Array(65_536);
  for (let half = 0; half < 65_536; half++) {
    const exponent = (half >> 10) & 31;
    const mantissa = half & 1023;
    const sign = half & 0x8000 ? -1 : 1;
    if (exponent === 31) table[half] = mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else if (exponent === 0) table[half] = sign * mantissa * 2 ** -24;
    else table[half] = sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
  }
  halfValues = table;
  return table;
}

/** @param target as many elements as `source` holds */
export function decodeFloats(dtype: FloatType, source: Uint8Array, target: Float32Array): void {
  const count = target.length;
  if (dtype === 'F32') {
    new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(source);
    return;
  }
  const halves = new Uint16Array(source.buffer, source.byteOffset, count);
  if (dtype === 'F16') {
    const table = halfTable();
    for (let i = 0; i < count; i++) target[i] = table[halves[i]!]!;
    return;
  }
  const words = new Uint32Array(target.buffer, target.byteOffset, count);
  for (let i = 0; i < count; i++) words[i] = halves[i]! << 16;
}

/** @param target as many elements as `source` has, in `dtype` */
export function encodeFloats(dtype: FloatType, source: Float32Array, target: Uint8Array): void {
  if (dtype === 'F32') {
    target.set(new Uint8Array(source.buffer, source.byteOffset, source.byteLength));
    return;
  }
  const halves = new Uint16Array(target.buffer, target.byteOffset, source.length);
  const words = new Uint32Array(source.buffer, source.byteOffset, source.length);
  if (dtype === 'F16') for (let i = 0; i < words.length; i++) halves[i] = halfBits(words[i]!);
  else for (let i = 0; i < words.length; i++) halves[i] = brainBits(words[i]!);
}

export function toHalf(value: number): number {
  float[0] = value;
  return halfBits(bits[0]!);
}

/** The half-precision number nearest to a float32, both as bits. */
function halfBits(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fff_ffff;
  if (magnitude >= 0x3880_0000) {
    // A number from 2^16 on is infinite in half precision; a NaN stays one.
    if (magnitude >= 0x4780_0000) return sign | (magnitude > 0x7f80_0000 ? 0x7e00 : 0x7c00);
    return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x3800_0000) >>> 13);
  }
  // Subnormal: beside 0.5 a float32's last bit weighs 2^-24, as here, so the addition rounds for us.
  bits[0] = magnitude;
  float[0] = float[0]! + 0.5;
  return sign | (bits[0]! - 0x3f00_0000);
}

function brainBits(word: number): number {
  if ((word & 0x7fff_ffff) > 0x7f80_0000) return (word >>> 16) | 64;
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
}
