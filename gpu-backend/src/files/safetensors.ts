/**
 * The header of a safetensors file: 8 bytes with its length, JSON, then the tensors' bytes.
 * https://github.com/huggingface/safetensors#format
 *
 * Own code, because the one npm package reads whole files, and a shard of Huozi has 5 GB.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { FileToolError, reason } from './errors.ts';

/** Bytes an element; what is not here (FP8, packed integers) no tool of ours reads. */
const elementBytes = { F32: 4, F16: 2, BF16: 2 } as const;

export type FloatType = keyof typeof elementBytes;

export function isFloatType(dtype: string): dtype is FloatType {
  return Object.hasOwn(elementBytes, dtype);
}

/** Where a tensor's bytes lie. Row-major, the last dimension contiguous. */
export interface TensorPlace {
  name: string;
  file: string;
  dtype: string;
  shape: readonly number[];
  /** Of the first byte, from the file's start. */
  offset: number;
  bytes: number;
}

const entry = z.object({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});

/** The format's own limit. */
const maxHeaderBytes = 100_000_000;

/**
 * @returns the tensors by name, in code unit order
 * @throws FileToolError when the file is cut short or its header lies
 */
export async function readSafetensorsHeader(file: string): Promise<TensorPlace[]> {
  const handle = await open(file).catch((error: unknown) => {
    throw new FileToolError(file, reason(error), { cause: error });
  });
  try {
    return await readHeader(file, handle);
  } finally {
    await handle.close();
  }
}

async function readHeader(file: string, handle: FileHandle): Promise<TensorPlace[]> {
  const { size } = await handle.stat();
  if (size < 8) throw new FileToolError(file, 'is too short for a safetensors file');
  const start = Buffer.alloc(8);
  await readFully(handle, file, start, 0);
  const length = start.readBigUInt64LE();
  if (length > maxHeaderBytes || 8 + Number(length) > size) {
    throw new FileToolError(file, 'is no safetensors file, or is cut short');
  }
  const json = Buffer.alloc(Number(length));
  await readFully(handle, file, json, 8);
  const dataStart = 8 + json.length;
  return parseHeader(file, json)
    .map(([name, { dtype, shape, data_offsets }]) => {
      const bytes = data_offsets[1] - data_offsets[0];
      const place = { name, file, dtype, shape, offset: dataStart + data_offsets[0], bytes };
      if (bytes < 0 || place.offset + bytes > size) {
        throw new FileToolError(file, `is cut short: tensor ${name} ends after the file does`);
      }
      if (isFloatType(dtype) && elementCount(shape) * elementBytes[dtype] !== bytes) {
        throw new FileToolError(file, `tensor ${name} has ${bytes} bytes, which is not what its shape needs`);
      }
      return place;
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function parseHeader(file: string, json: Buffer): [string, z.infer<typeof entry>][] {
  let header: unknown;
  try {
    header = JSON.parse(json.toString('utf8'));
  } catch (error) {
    throw new FileToolError(file, 'has a header that is not valid JSON', { cause: error });
  }
  if (typeof header !== 'object' || header === null) throw new FileToolError(file, 'has no header');
  return Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => {
      const parsed = entry.safeParse(value);
      if (!parsed.success) throw new FileToolError(file, `the header's entry for ${name} is malformed`);
      return [name, parsed.data];
    });
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** Fills `target` from `position` on. @throws FileToolError when the file ends before that */
export async function readFully(
  handle: FileHandle,
  file: string,
  target: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await handle.read(target, done, target.length - done, position + done);
    if (bytesRead === 0) throw new FileToolError(file, 'ended while it was being read');
    done += bytesRead;
  }
}
