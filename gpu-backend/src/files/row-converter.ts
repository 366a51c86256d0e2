/** Rows of a checkpoint's tensor → the bytes of a GGUF tensor, a few megabytes at a time. */
import type { TensorReader } from './checkpoint.ts';
import { decodeFloats, encodeFloats } from './float-formats.ts';
import type { TensorType } from './gguf-header.ts';
import { q8BlockBytes, q8BlockWeights, quantizeQ8 } from './q8-0.ts';
import { elementCount, type FloatType, type TensorPlace } from './safetensors.ts';

/** About so many bytes of float32 a chunk; three times this is all the memory that weights take. */
const chunkBytes = 4 << 20;

/**
 * Where a row of a query or key matrix goes. Hugging Face rotates a head's first half against its second, llama.cpp
 * neighbours: row i of the first half goes to 2i, row i of the second to 2i + 1.
 */
export function interleavedRow(row: number, headRows: number): number {
  const inHead = row % headRows;
  const half = headRows / 2;
  return row - inHead + (inHead < half ? 2 * inHead : 2 * (inHead - half) + 1);
}

export class RowConverter {
  readonly #reader: TensorReader;
  readonly #type: TensorType;
  #input = new Uint8Array();
  #floats = new Float32Array();
  #interleaved = new Float32Array();
  #output = new Uint8Array();

  constructor(reader: TensorReader, type: TensorType) {
    this.#reader = reader;
    this.#type = type;
  }

  /**
   * Calls `write` with one part of the tensor after another; a part is valid until `write` has settled.
   *
   * @param interleavedHeads heads whose rows are to be interleaved, 0 for none
   */
  async convert(
    place: TensorPlace,
    interleavedHeads: number,
    write: (part: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const weights = elementCount(place.shape);
    const columns = place.shape.at(-1)!;
    const rows = weights / columns;
    const unit = interleavedHeads ? rows / interleavedHeads : 1;
    const chunkRows = Math.min(rows, unit * Math.max(1, Math.floor(chunkBytes / 4 / columns / unit)));
    const elementBytes = place.bytes / weights;
    this.#reserve(chunkRows * columns);
    for (let row = 0; row < rows; row += chunkRows) {
      const count = Math.min(chunkRows, rows - row) * columns;
      const input = this.#input.subarray(0, count * elementBytes);
      await this.#reader.read(place, row * columns * elementBytes, input);
      const floats = this.#floats.subarray(0, count);
      decodeFloats(place.dtype as FloatType, input, floats);
      await write(this.#encode(interleavedHeads ? this.#interleave(floats, columns, unit) : floats));
    }
  }

  #reserve(weights: number): void {
    if (this.#floats.length >= weights) return;
    this.#input = new Uint8Array(weights * 4);
    this.#floats = new Float32Array(weights);
    this.#interleaved = new Float32Array(weights);
    this.#output = new Uint8Array(weights * 4);
  }

  #interleave(floats: Float32Array, columns: number, headRows: number): Float32Array {
    const target = this.#interleaved.subarray(0, floats.length);
    const rows = floats.length / columns;
    for (let row = 0; row < rows; row++) {
      const to = interleavedRow(row, headRows);
      target.set(floats.subarray(row * columns, (row + 1) * columns), to * columns);
    }
    return target;
  }

  #encode(floats: Float32Array): Uint8Array {
    if (this.#type === 'Q8_0') {
      const output = this.#output.subarray(0, (floats.length / q8BlockWeights) * q8BlockBytes);
      quantizeQ8(floats, output);
      return output;
    }
    const output = this.#output.subarray(0, floats.length * (this.#type === 'F32' ? 4 : 2));
    encodeFloats(this.#type, floats, output);
    return output;
  }
}
