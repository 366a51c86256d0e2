/**
 * Random weights, block by block, for speed and for comparing devices: of a size that keeps activations near 1
 * through any number of layers, from a seed, in memory of a few MiB whatever the tensor's size.
 */
import { createCipheriv } from 'node:crypto';
import { writeSync } from 'node:fs';
import { toHalf } from '../../files/float-formats.ts';

/** Where a block holds its half-precision scale, and the standard deviation of its quants. */
const blocks: Record<string, { bytes: number; weights: number; scaleAt: number; deviation: number }> = {
  Q4_0: { bytes: 18, weights: 32, scaleAt: 0, deviation: 4.61 },
  Q8_0: { bytes: 34, weights: 32, scaleAt: 0, deviation: 73.9 },
  // Signed 8-bit scales of 16 sub-blocks, random as well, times 6-bit quants.
  Q6_K: { bytes: 210, weights: 256, scaleAt: 208, deviation: 73.9 * 18.5 },
};

const pieceBytes = 4 * 2 ** 20;

export interface RandomTensor {
  name: string;
  /** Columns first. */
  shape: readonly number[];
  type: string;
}

/** An endless stream of bytes that only its seed decides. */
function randomBytes(seed: number): (length: number) => Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(pieceBytes);
  return (length) => cipher.update(zeros.subarray(0, length));
}

/**
 * Writes one tensor at `position`.
 * @param silent rows of the output matrix that stay zero: tokens that a random model shall not say
 */
export function writeRandom(
  file: number,
  position: number,
  tensor: RandomTensor,
  seed: number,
  silent: (row: number) => boolean,
): void {
  const { name, shape, type } = tensor;
  const [columns = 1, ...others] = shape;
  const rows = others.reduce((product, n) => product * n, 1);
  const isSilent = name === 'output.weight' ? silent : () => false;
  if (type === 'F32') {
    const bytes = new Uint8Array(floats(name, columns * rows, columns, seed).buffer);
    writeSync(file, bytes, 0, bytes.length, position);
  } else writeBlocks(file, position, { name, type, columns, rows }, randomBytes(seed), isSilent);
}

function writeBlocks(
  file: number,
  position: number,
  { name, type, columns, rows }: { name: string; type: string; columns: number; rows: number },
  random: (length: number) => Buffer,
  isSilent: (row: number) => boolean,
): void {
  const block = blocks[type];
  if (!block) throw new RangeError(`no random weights of type ${type}`);
  const { bytes, weights, scaleAt, deviation } = block;
  const rowBytes = (columns / weights) * bytes;
  // A token must weigh more than the mean of those before it that attention adds, or all go to the same experts.
  const fan = name === 'token_embd.weight' ? 1 : columns;
  const scale = toHalf(1 / (deviation * Math.sqrt(fan)));
  const rowsAtOnce = Math.max(1, Math.floor(pieceBytes / rowBytes));
  for (let row = 0; row < rows; row += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - row);
    const piece = random(count * rowBytes);
    for (let at = scaleAt; at < piece.length; at += bytes) {
      piece[at] = scale & 255;
      // With a random sign: 4-bit quants go from -8 to 7, and their mean would drive all tokens one way.
      piece[at + 1] = ((piece[at + 1] as number) & 0x80) | (scale >>> 8);
    }
    for (let i = 0; i < count; i++) {
      if (isSilent(row + i)) piece.fill(0, i * rowBytes, (i + 1) * rowBytes);
    }
    writeSync(file, piece, 0, piece.length, position + row * rowBytes);
  }
}

/** Norms are ones. The router decides clearly, or rounding alone would send tokens elsewhere on another device. */
function floats(name: string, count: number, columns: number, seed: number): Float32Array {
  const values = new Float32Array(count).fill(1);
  if (name.includes('norm')) return values;
  const random = randomBytes(seed)(Math.min(4 * count, pieceBytes));
  const deviation = (name.includes('ffn_gate_inp') ? 4 : 1) / Math.sqrt(columns);
  for (let i = 0; i < count; i++) {
    const unit = random.readUInt32LE((4 * i) % random.length) / 2 ** 32 - 0.5;
    values[i] = unit * Math.sqrt(12) * deviation;
  }
  return values;
}
