/**
 * What stands before the weights in a GGUF file, version 3, little-endian.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { q8BlockBytes, q8BlockWeights } from './q8-0.ts';
import { elementCount } from './safetensors.ts';

export type TensorType = 'F32' | 'F16' | 'BF16' | 'Q8_0';

const tensorTypes = {
  F32: { code: 0, blockWeights: 1, blockBytes: 4 },
  F16: { code: 1, blockWeights: 1, blockBytes: 2 },
  Q8_0: { code: 8, blockWeights: q8BlockWeights, blockBytes: q8BlockBytes },
  BF16: { code: 30, blockWeights: 1, blockBytes: 2 },
} as const satisfies Record<TensorType, object>;

export interface TensorInfo {
  name: string;
  type: TensorType;
  /** Row-major, as in safetensors: GGUF stores the dimensions the other way around. */
  shape: readonly number[];
}

export type MetadataValue =
  | { type: 'u32' | 'i32' | 'f32'; value: number }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'strings'; value: readonly (string | Uint8Array)[] }
  | { type: 'i32s' | 'f32s'; value: ArrayLike<number> };

/** In file order. */
export type Metadata = Map<string, MetadataValue>;

const alignment = 32;

export function tensorBytes({ type, shape }: TensorInfo): number {
  const { blockWeights, blockBytes } = tensorTypes[type];
  return (elementCount(shape) / blockWeights) * blockBytes;
}

/** Zero bytes needed after `length` bytes. */
export function padding(length: number): number {
  return (alignment - (length % alignment)) % alignment;
}

/** The bytes from the magic to the first tensor, padding included. */
export function encodeHeader(metadata: Metadata, tensors: readonly TensorInfo[]): Buffer {
  const parts: Uint8Array[] = [
    Buffer.from('GGUF'),
    u32(3),
    u64(tensors.length),
    u64(metadata.size),
    ...[...metadata].flatMap(([key, value]) => [...string(key), ...metadataValue(value)]),
  ];
  let offset = 0;
  for (const tensor of tensors) {
    const { name, type, shape } = tensor;
    parts.push(...string(name), u32(shape.length), ...shape.toReversed().map(u64));
    parts.push(u32(tensorTypes[type].code), u64(offset));
    const bytes = tensorBytes(tensor);
    offset += bytes + padding(bytes);
  }
  const header = Buffer.concat(parts);
  return Buffer.concat([header, Buffer.alloc(padding(header.length))]);
}

function metadataValue(entry: MetadataValue): Uint8Array[] {
  switch (entry.type) {
    case 'u32':
      return [u32(4), u32(entry.value)];
    case 'i32':
      return [u32(5), words(Int32Array.of(entry.value))];
    case 'f32':
      return [u32(6), words(Float32Array.of(entry.value))];
    case 'bool':
      return [u32(7), Uint8Array.of(Number(entry.value))];
    case 'string':
      return [u32(8), ...string(entry.value)];
    case 'strings':
      return [u32(9), u32(8), u64(entry.value.length), ...entry.value.flatMap(string)];
    case 'i32s':
      return [u32(9), u32(5), u64(entry.value.length), words(Int32Array.from(entry.value))];
    case 'f32s':
      return [u32(9), u32(6), u64(entry.value.length), words(Float32Array.from(entry.value))];
    default:
      return entry satisfies never;
  }
}

function string(value: string | Uint8Array): Uint8Array[] {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return [u64(bytes.length), bytes];
}

function u32(value: number): Uint8Array {
  return words(Uint32Array.of(value));
}

function u64(value: number): Uint8Array {
  return words(BigUint64Array.of(BigInt(value)));
}

/** Node runs on little-endian machines only. */
function words(array: Uint32Array | Int32Array | Float32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(array.buffer);
}
