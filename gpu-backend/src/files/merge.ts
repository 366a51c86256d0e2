/**
 * The weighted mean of checkpoints of one shape, as Huozi 3.5 was fused of three: safetensors in, safetensors out.
 * The result has the first checkpoint's shards, layout and element types, and its other files.
 */
import { copyFile, type FileHandle, open, readdir, realpath } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { type Checkpoint, openCheckpoint, TensorReader } from './checkpoint.ts';
import { FileToolError } from './errors.ts';
import { decodeFloats, encodeFloats } from './float-formats.ts';
import { writeFully, writeOutputFolder } from './output-file.ts';
import { elementCount, type FloatType, isFloatType, readFully, type TensorPlace } from './safetensors.ts';

export interface MergeInput {
  folder: string;
  /** Not negative; only its share in the sum of all weights matters. */
  weight: number;
}

export interface MergeOptions {
  inputs: readonly MergeInput[];
  /** A folder. */
  out: string;
  /** Replace files of the same names if `out` exists. */
  force?: boolean;
  /** Bytes of weights that will be written; told once before `onProgress`. */
  onStart?(totalBytes: number): void;
  /** Bytes written since the last call. */
  onProgress?(bytes: number): void;
}

export interface MergeResult {
  tensors: number;
  shards: number;
  bytes: number;
}

/** A tensor is merged in pieces of so many weights. */
const pieceWeights = 1 << 20;

/** Everything else in the first folder is copied: config, tokenizer, index, card. */
const weightFiles = ['.safetensors', '.bin', '.pt', '.pth', '.gguf', '.part'];

/** @throws FileToolError when names or shapes differ, naming the tensor, or a file cannot be used */
export async function merge({
  inputs,
  out,
  force = false,
  onStart,
  onProgress,
}: MergeOptions): Promise<MergeResult> {
  const checkpoints: Checkpoint[] = [];
  for (const { folder } of inputs) checkpoints.push(await openCheckpoint(folder));
  const [first, ...others] = checkpoints as [Checkpoint, ...Checkpoint[]];
  for (const other of others) compare(first, other);
  await refuseInputAsOutput(out, inputs);
  const sum = inputs.reduce((total, { weight }) => total + weight, 0);
  const weights = inputs.map(({ weight }) => Math.fround(weight / sum));
  const bytes = [...first.tensors.values()].reduce((total, place) => total + place.bytes, 0);

  await writeOutputFolder(out, force, async (folder) => {
    onStart?.(bytes);
    const reader = new TensorReader();
    try {
      for (const shard of first.shards) {
        const handle = await open(join(folder, shard), 'wx');
        try {
          await mergeShard(reader, shard, checkpoints, weights, handle, onProgress);
          await handle.datasync();
        } finally {
          await handle.close();
        }
      }
    } finally {
      await reader.close();
    }
    for (const entry of await readdir(first.folder, { withFileTypes: true })) {
      if (!entry.isFile() || entry.name.startsWith('.') || weightFiles.includes(extname(entry.name)))
        continue;
      await copyFile(join(first.folder, entry.name), join(folder, entry.name));
    }
  });
  return { tensors: first.tensors.size, shards: first.shards.length, bytes };
}

function compare(first: Checkpoint, other: Checkpoint): void {
  for (const [name, place] of first.tensors) {
    const found = other.tensors.get(name);
    if (!found) throw new FileToolError(other.folder, `lacks tensor ${name}, which ${first.folder} has`);
    if (place.shape.join() !== found.shape.join()) {
      const shapes = `[${found.shape.join(', ')}], and in ${first.folder} [${place.shape.join(', ')}]`;
      throw new FileToolError(found.file, `tensor ${name} is ${shapes}`);
    }
    for (const { dtype, file } of [place, found]) {
      if (!isFloatType(dtype)) {
        throw new FileToolError(file, `tensor ${name} is ${dtype}; F32, F16 and BF16 are merged`);
      }
    }
  }
  for (const name of other.tensors.keys()) {
    if (!first.tensors.has(name)) {
      throw new FileToolError(other.folder, `has a tensor ${name}, which ${first.folder} lacks`);
    }
  }
}

async function refuseInputAsOutput(out: string, inputs: readonly MergeInput[]): Promise<void> {
  const target = await realpath(out).catch(() => undefined);
  for (const { folder } of inputs) {
    if (target === (await realpath(folder)))
      throw new FileToolError(out, 'is one of the checkpoints to merge');
  }
}

async function mergeShard(
  reader: TensorReader,
  shard: string,
  checkpoints: readonly Checkpoint[],
  weights: readonly number[],
  handle: FileHandle,
  onProgress?: (bytes: number) => void,
): Promise<void> {
  const [first] = checkpoints as [Checkpoint];
  const file = join(first.folder, shard);
  const places = [...first.tensors.values()]
    .filter((place) => place.file === file)
    .sort((a, b) => a.offset - b.offset);
  await writeFully(handle, await headerOf(file, places));
  for (const place of places) {
    const sources = checkpoints.map(({ tensors }) => tensors.get(place.name)!);
    await mergeTensor(reader, place, sources, weights, async (part) => {
      await writeFully(handle, part);
      onProgress?.(part.length);
    });
  }
}

/** Names, types, shapes and offsets stay, so the header does, byte for byte. */
async function headerOf(file: string, places: readonly TensorPlace[]): Promise<Uint8Array> {
  const handle = await open(file);
  try {
    const header = new Uint8Array(places[0]?.offset ?? (await handle.stat()).size);
    await readFully(handle, file, header, 0);
    return header;
  } finally {
    await handle.close();
  }
}

/** In float32, one product and one sum after another, so that any tensor library gives the same bytes. */
async function mergeTensor(
  reader: TensorReader,
  place: TensorPlace,
  sources: readonly TensorPlace[],
  weights: readonly number[],
  write: (part: Uint8Array) => Promise<void>,
): Promise<void> {
  const total = elementCount(place.shape);
  const size = Math.min(total, pieceWeights);
  const input = new Uint8Array(size * 4);
  const values = new Float32Array(size);
  const mean = new Float32Array(size);
  for (let start = 0; start < total; start += size) {
    const count = Math.min(size, total - start);
    for (const [position, source] of sources.entries()) {
      const elementBytes = source.bytes / total;
      const raw = input.subarray(0, count * elementBytes);
      await reader.read(source, start * elementBytes, raw);
      decodeFloats(source.dtype as FloatType, raw, values.subarray(0, count));
      const weight = weights[position]!;
      if (position === 0) for (let i = 0; i < count; i++) mean[i] = values[i]! * weight;
      else for (let i = 0; i < count; i++) mean[i] = mean[i]! + Math.fround(values[i]! * weight);
    }
    const output = input.subarray(0, count * (place.bytes / total));
    encodeFloats(place.dtype as FloatType, mean.subarray(0, count), output);
    await write(output);
  }
}
