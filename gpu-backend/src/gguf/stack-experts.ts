/**
 * Files before spring 2024 hold one tensor an expert; llama.cpp has forgotten how to read them. A stacked tensor is
 * nothing but its experts' bytes one after the other, so a copy with another header is all it takes.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { type GGUFParseOutput, gguf } from '@huggingface/gguf';
import { GgufError } from './errors.ts';
import { ggmlTypes, typeBytes } from './ggml-types.ts';

const expertName = /^(blk\.\d+\.ffn_(?:gate|up|down))\.(\d+)\.weight$/;
const copyBytes = 4 * 2 ** 20;

/** A tensor of the new file, and where its bytes are in the old one. */
export interface Gathered {
  name: string;
  /** Columns first. */
  shape: readonly number[];
  /** ggml's number. */
  type: number;
  parts: readonly { offset: number; bytes: number }[];
}

interface Source {
  tensors: readonly Gathered[];
  /** Metadata as it stands in the file, `[from, to)`. */
  metadata: { from: number; to: number; count: bigint };
  version: number;
  alignment: number;
}

export const hasSeparateExperts = (tensors: readonly { name: string }[]) =>
  tensors.some(({ name }) => expertName.test(name));

/** @throws GgufError when experts of one matrix differ or lack */
export function stack(path: string, tensors: readonly Gathered[]): Gathered[] {
  const stacks = new Map<string, Gathered[]>();
  const order: (Gathered | string)[] = [];
  for (const tensor of tensors) {
    const [, prefix, number] = expertName.exec(tensor.name) ?? [];
    if (prefix === undefined) {
      order.push(tensor);
      continue;
    }
    const name = `${prefix}_exps.weight`;
    if (!stacks.has(name)) order.push(name);
    const experts = stacks.get(name) ?? [];
    experts[Number(number)] = tensor;
    stacks.set(name, experts);
  }
  return order.map((entry) => {
    if (typeof entry !== 'string') return entry;
    const experts = stacks.get(entry) as Gathered[];
    const first = experts[0];
    const alike = (one: Gathered | undefined) =>
      one !== undefined && one.type === first?.type && one.shape.join() === first.shape.join();
    // Not `every`: it skips the holes of an expert that lacks.
    if (!first || Array.from(experts).some((one) => !alike(one))) {
      throw new GgufError('unsupported', path, `the experts of ${entry} lack or differ in type or shape`);
    }
    const { type, shape } = first;
    return {
      name: entry,
      type,
      shape: [...shape, experts.length],
      parts: experts.flatMap(({ parts }) => parts),
    };
  });
}

/** @param path one file of its own, not a shard. @throws GgufError */
export async function readSource(path: string): Promise<Source> {
  const parsed = (await gguf(path, { allowLocalFile: true })) as GGUFParseOutput<{ strict: false }>;
  const start = Number(parsed.tensorDataOffset);
  const tensors = parsed.tensorInfos.map(({ name, shape, dtype, offset }) => {
    const dimensions = shape.map(Number);
    const type = ggmlTypes[dtype];
    if (!type) throw new GgufError('unsupported', path, `tensor ${name} has type ${dtype}`);
    const bytes = typeBytes(
      type,
      dimensions.reduce((product, n) => product * n, 1),
    );
    return {
      name,
      shape: dimensions,
      type: dtype as number,
      parts: [{ offset: start + Number(offset), bytes }],
    };
  });
  const file = await open(path);
  try {
    const fixed = Buffer.alloc(24);
    await file.read(fixed, 0, 24, 0);
    const metadata = { from: 24, to: parsed.tensorInfoByteRange[0], count: fixed.readBigUInt64LE(16) };
    const alignment = Number(parsed.metadata['general.alignment'] ?? 32);
    return { tensors, metadata, version: fixed.readUInt32LE(4), alignment };
  } finally {
    await file.close();
  }
}

/** Writes `tensors` with the metadata of `source`, in a few MiB of memory. */
export async function writeGathered(
  from: string,
  source: Source,
  tensors: readonly Gathered[],
  to: FileHandle,
): Promise<void> {
  const { metadata, version, alignment } = source;
  const padding = (length: number) => (alignment - (length % alignment)) % alignment;
  const file = await open(from);
  try {
    const values = Buffer.alloc(metadata.to - metadata.from);
    await file.read(values, 0, values.length, metadata.from);
    const fixed = Buffer.alloc(24);
    fixed.write('GGUF', 'latin1');
    fixed.writeUInt32LE(version, 4);
    fixed.writeBigUInt64LE(BigInt(tensors.length), 8);
    fixed.writeBigUInt64LE(metadata.count, 16);
    const infos: Buffer[] = [];
    let offset = 0;
    for (const tensor of tensors) {
      infos.push(tensorInfo(tensor, offset));
      const bytes = tensor.parts.reduce((sum, part) => sum + part.bytes, 0);
      offset += bytes + padding(bytes);
    }
    const header = Buffer.concat([fixed, values, ...infos]);
    await to.write(Buffer.concat([header, Buffer.alloc(padding(header.length))]));
    const buffer = Buffer.alloc(copyBytes);
    for (const { parts } of tensors) {
      let written = 0;
      for (const part of parts) {
        for (let done = 0; done < part.bytes; ) {
          const length = Math.min(copyBytes, part.bytes - done);
          const { bytesRead } = await file.read(buffer, 0, length, part.offset + done);
          if (bytesRead === 0) throw new GgufError('truncated', from, 'ends inside a tensor');
          await to.write(buffer, 0, bytesRead);
          done += bytesRead;
        }
        written += part.bytes;
      }
      await to.write(Buffer.alloc(padding(written)));
    }
  } finally {
    await file.close();
  }
}

function tensorInfo({ name, shape, type }: Gathered, offset: number): Buffer {
  const text = Buffer.from(name);
  const bytes = Buffer.alloc(8 + text.length + 4 + 8 * shape.length + 4 + 8);
  let at = bytes.writeBigUInt64LE(BigInt(text.length));
  at += text.copy(bytes, at);
  at = bytes.writeUInt32LE(shape.length, at);
  for (const n of shape) at = bytes.writeBigUInt64LE(BigInt(n), at);
  at = bytes.writeUInt32LE(type, at);
  bytes.writeBigUInt64LE(BigInt(offset), at);
  return bytes;
}
