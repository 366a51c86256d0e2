/** A PEFT folder → one GGUF file that llama.cpp takes as an adapter. */
import { readHeader } from '../gguf/header.ts';
import { TensorReader } from './checkpoint.ts';
import { decodeFloats } from './float-formats.ts';
import { encodeHeader, type Metadata, padding, type TensorInfo } from './gguf-header.ts';
import { embeddingName, type LoraPair, type LoraSource, planPairs } from './lora-pairs.ts';
import { writeFully, writeOutputFile } from './output-file.ts';
import { readPeftAdapter } from './peft-adapter.ts';
import { interleavedRow } from './row-converter.ts';
import { elementCount, type FloatType, type TensorPlace } from './safetensors.ts';

export interface ConvertLoraOptions {
  folder: string;
  /** GGUF file of the model that the adapter is for: its heads, experts and shapes are needed, not its weights. */
  base: string;
  out: string;
  /** Replace `out` if it exists. */
  force?: boolean;
}

/**
 * Everything becomes float32. One pair of matrices is in memory at a time.
 *
 * @returns how many matrices are adapted
 * @throws FileToolError, GgufError
 */
export async function convertLora({ folder, base, out, force = false }: ConvertLoraOptions): Promise<number> {
  const adapter = await readPeftAdapter(folder);
  const pairs = planPairs(adapter, await readHeader(base));
  const metadata: Metadata = new Map([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.type', { type: 'string', value: 'adapter' }],
    ['adapter.type', { type: 'string', value: 'lora' }],
    ['adapter.lora.alpha', { type: 'f32', value: adapter.alpha }],
  ]);
  await writeOutputFile(out, force, async (handle) => {
    await writeFully(handle, encodeHeader(metadata, pairs.flatMap(pairTensors)));
    const reader = new TensorReader();
    try {
      for (const pair of pairs) {
        for (const floats of await readPair(reader, pair)) {
          await writeFully(handle, new Uint8Array(floats.buffer));
          await writeFully(handle, new Uint8Array(padding(floats.byteLength)));
        }
      }
    } finally {
      await reader.close();
    }
  });
  return pairs.length;
}

function pairTensors({ name, columns, rows, rank, experts }: LoraPair): [a: TensorInfo, b: TensorInfo] {
  const stack = experts ? [experts] : [];
  // llama.cpp looks rows of the embedding's `a` up by the token.
  const a = name === embeddingName ? [columns, rank] : [...stack, rank, columns];
  return [
    { name: `${name}.lora_a`, type: 'F32', shape: a },
    { name: `${name}.lora_b`, type: 'F32', shape: [...stack, rows, rank] },
  ];
}

async function readPair(reader: TensorReader, pair: LoraPair): Promise<[a: Float32Array, b: Float32Array]> {
  const [a, b] = pairTensors(pair).map(({ shape }) => new Float32Array(elementCount(shape)));
  for (const source of pair.sources) {
    const left = await read(reader, source.module.a);
    fill(pair, source, left, await read(reader, source.module.b), a!, b!);
  }
  return [pair.name === embeddingName ? transpose(a!, pair.columns) : a!, b!];
}

function transpose(matrix: Float32Array, columns: number): Float32Array {
  const rows = matrix.length / columns;
  const turned = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      turned[column * rows + row] = matrix[row * columns + column]!;
    }
  }
  return turned;
}

async function read(reader: TensorReader, place: TensorPlace): Promise<Float32Array> {
  const bytes = new Uint8Array(place.bytes);
  await reader.read(place, 0, bytes);
  const floats = new Float32Array(elementCount(place.shape));
  decodeFloats(place.dtype as FloatType, bytes, floats);
  return floats;
}

/** A source of a lower rank than the pair's leaves zeros, as does an expert that the adapter does not have. */
function fill(
  { columns, rows, rank: pairRank, experts }: LoraPair,
  source: LoraSource,
  left: Float32Array,
  right: Float32Array,
  a: Float32Array,
  b: Float32Array,
): void {
  const { rank, factor, expert, columnsFirst, firstRow, heads } = source;
  const [from, to] = expert === 'all' ? [0, experts] : [expert, expert + 1];
  // PEFT's stack: `left` has the experts one after another, `right` has them side by side, rank by rank.
  const stack = to - from;
  const leftColumns = left.length / (rank * stack);
  const leftAt = (e: number, i: number, column: number) => left[(e * rank + i) * leftColumns + column]!;
  const rightAt = (e: number, row: number, i: number) => right[(row * rank + i) * stack + e]!;
  for (let e = from; e < to; e++) {
    const [aStart, bStart] = [e * pairRank * columns, e * rows * pairRank];
    for (let i = 0; i < rank; i++) {
      for (let column = 0; column < columns; column++) {
        a[aStart + i * columns + column] = columnsFirst
          ? rightAt(e - from, column, i)
          : leftAt(e - from, i, column);
      }
    }
    for (let row = 0; row < rows; row++) {
      const target = heads ? interleavedRow(row, rows / heads) : row;
      for (let i = 0; i < rank; i++) {
        const value = columnsFirst
          ? leftAt(e - from, i, firstRow + row)
          : rightAt(e - from, firstRow + row, i);
        b[bStart + target * pairRank + i] = value * factor;
      }
    }
  }
}
