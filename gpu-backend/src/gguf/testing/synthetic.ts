/**
 * GGUF files of a Mixtral shape: a whole header, and behind it random weights or a hole in a sparse file.
 * llama.cpp loads the latter (`no_alloc`, or mapped) as it loads the real ones; a 93 GB model takes 3 MB of disk.
 *
 * The writer is our own on purpose: the reader that it tests is @huggingface/gguf.
 */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { ggmlType, ggmlTypeId, typeBytes } from '../ggml-types.ts';
import { type FileType, mixedType } from '../quant-mix.ts';
import { writeRandom } from './random-weights.ts';

export interface Shape {
  layers: number;
  embedding: number;
  feedForward: number;
  heads: number;
  kvHeads: number;
  experts: number;
  expertsUsed: number;
  vocabulary: number;
  context: number;
}

/** mistralai/Mixtral-8x7B. */
export const mixtral: Shape = {
  layers: 32,
  embedding: 4096,
  feedForward: 14_336,
  heads: 32,
  kvHeads: 8,
  experts: 8,
  expertsUsed: 2,
  vocabulary: 32_000,
  context: 32_768,
};

/** HIT-SCIR/huozi3.5: Mixtral's with 25,000 Chinese tokens and two markers. */
export const huozi: Shape = { ...mixtral, vocabulary: 57_002 };

const markers = ['<|beginofutterance|>', '<|endofutterance|>'];

export interface SyntheticOptions {
  shape: Shape;
  fileType: FileType;
  /** One tensor an expert, as files before spring 2024 have it. */
  separateExperts?: boolean;
  /** Laid over the metadata; undefined removes a key. */
  metadata?: Record<string, Value | undefined>;
  /** Random weights instead of a hole. Byte and control tokens are never what such a model says. */
  randomWeights?: boolean;
  /** Token type of the two markers: control (3) or user-defined (4). */
  markerType?: 3 | 4;
}

interface Tensor {
  name: string;
  shape: number[];
  type: string;
}

type Value = { type: 'u32' | 'f32' | 'i32' | 'u16'; value: number } | string | boolean | Value[];

export function tensors({ shape, fileType, separateExperts = false }: SyntheticOptions): Tensor[] {
  const { embedding, feedForward, experts, vocabulary } = shape;
  const keyValue = (embedding / shape.heads) * shape.kvHeads;
  const named: [string, number[]][] = [
    ['token_embd.weight', [embedding, vocabulary]],
    ['output_norm.weight', [embedding]],
    ['output.weight', [embedding, vocabulary]],
  ];
  for (let i = 0; i < shape.layers; i++) {
    const layer = (name: string, ...dimensions: number[]) =>
      named.push([`blk.${i}.${name}.weight`, dimensions]);
    layer('attn_norm', embedding);
    layer('attn_q', embedding, embedding);
    layer('attn_k', embedding, keyValue);
    layer('attn_v', embedding, keyValue);
    layer('attn_output', embedding, embedding);
    layer('ffn_norm', embedding);
    layer('ffn_gate_inp', embedding, experts);
    for (const [part, ...matrix] of [
      ['gate', embedding, feedForward],
      ['up', embedding, feedForward],
      ['down', feedForward, embedding],
    ] as [string, number, number][]) {
      if (separateExperts) for (let x = 0; x < experts; x++) layer(`ffn_${part}.${x}`, ...matrix);
      else layer(`ffn_${part}_exps`, ...matrix, experts);
    }
  }
  const model = { layers: shape.layers, experts, groupedHeads: shape.heads / shape.kvHeads };
  return named.map(([name, dimensions]) => ({
    name,
    shape: dimensions,
    type: mixedType(fileType, name, dimensions, model),
  }));
}

export function tensorBytes({ shape, type }: Tensor): number {
  return typeBytes(
    ggmlType(type),
    shape.reduce((product, n) => product * n, 1),
  );
}

const u32 = (value: number): Value => ({ type: 'u32', value });
const f32 = (value: number): Value => ({ type: 'f32', value });

function metadata({ shape, markerType = 3, metadata: given = {} }: SyntheticOptions): [string, Value][] {
  const tokens: string[] = ['<unk>', '<s>', '</s>'];
  for (let byte = 0; byte < 256; byte++) {
    tokens.push(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  }
  while (tokens.length < shape.vocabulary - markers.length) tokens.push(`▁词${tokens.length}`);
  tokens.push(...markers);
  const types = tokens.map((_, id) => {
    if (id >= shape.vocabulary - markers.length) return markerType;
    return id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1;
  });
  const all: Record<string, Value | undefined> = {
    'general.architecture': 'llama',
    'general.name': 'synthetic',
    'llama.block_count': u32(shape.layers),
    'llama.context_length': u32(shape.context),
    'llama.embedding_length': u32(shape.embedding),
    'llama.feed_forward_length': u32(shape.feedForward),
    'llama.attention.head_count': u32(shape.heads),
    'llama.attention.head_count_kv': u32(shape.kvHeads),
    'llama.attention.layer_norm_rms_epsilon': f32(1e-5),
    'llama.rope.freq_base': f32(1e6),
    'llama.rope.dimension_count': u32(shape.embedding / shape.heads),
    'llama.expert_count': u32(shape.experts),
    'llama.expert_used_count': u32(shape.expertsUsed),
    'llama.vocab_size': u32(shape.vocabulary),
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.scores': tokens.map((_, id) => f32(-id)),
    'tokenizer.ggml.token_type': types.map((value): Value => ({ type: 'i32', value })),
    'tokenizer.ggml.bos_token_id': u32(1),
    'tokenizer.ggml.eos_token_id': u32(2),
    'tokenizer.ggml.add_bos_token': true,
    ...given,
  };
  return Object.entries(all).filter((entry): entry is [string, Value] => entry[1] !== undefined);
}

/** Writes one file. @returns its size in bytes, the hole included */
export function writeSynthetic(path: string, options: SyntheticOptions): number {
  return writeFile(path, metadata(options), tensors(options), options);
}

/** Writes `-0000N-of-0000M.gguf` files as llama-gguf-split does: the first holds the metadata. @returns paths */
export function writeSyntheticShards(prefix: string, count: number, options: SyntheticOptions): string[] {
  const all = tensors(options);
  const perShard = Math.ceil(all.length / count);
  return Array.from({ length: count }, (_, no) => {
    const number = (n: number) => String(n).padStart(5, '0');
    const path = `${prefix}-${number(no + 1)}-of-${number(count)}.gguf`;
    const split: [string, Value][] = [
      ['split.no', { type: 'u16', value: no }],
      ['split.count', { type: 'u16', value: count }],
      ['split.tensors.count', { type: 'i32', value: all.length }],
    ];
    writeFile(
      path,
      no === 0 ? [...metadata(options), ...split] : split,
      all.slice(no * perShard, (no + 1) * perShard),
    );
    return path;
  });
}

function writeFile(
  path: string,
  entries: [string, Value][],
  infos: Tensor[],
  options?: SyntheticOptions,
): number {
  const header = new Bytes();
  header.raw(Buffer.from('GGUF')).u32(3).u64(infos.length).u64(entries.length);
  for (const [key, value] of entries) header.string(key).u32(typeId(value)).value(value);
  let offset = 0;
  for (const info of infos) {
    header.string(info.name).u32(info.shape.length);
    for (const n of info.shape) header.u64(n);
    header.u32(ggmlTypeId(info.type)).u64(offset);
    offset = padded(offset + tensorBytes(info));
  }
  const bytes = header.toBuffer();
  const size = padded(bytes.length) + offset;
  const file = openSync(path, 'w');
  writeSync(file, bytes);
  ftruncateSync(file, size);
  if (options?.randomWeights) {
    const last = options.shape.vocabulary - markers.length;
    const silent = (row: number) => row < firstWord || row >= last;
    let position = padded(bytes.length);
    for (const [i, info] of infos.entries()) {
      writeRandom(file, position, info, i + 1, silent);
      position = padded(position + tensorBytes(info));
    }
  }
  closeSync(file);
  return size;
}

/** Control tokens and bytes come before. */
const firstWord = 259;

const padded = (offset: number) => Math.ceil(offset / 32) * 32;

const typeIds = { u16: 2, u32: 4, i32: 5, f32: 6 };

function typeId(value: Value): number {
  if (typeof value === 'string') return 8;
  if (typeof value === 'boolean') return 7;
  return Array.isArray(value) ? 9 : typeIds[value.type];
}

class Bytes {
  private parts: Buffer[] = [];

  toBuffer = () => Buffer.concat(this.parts);

  raw(bytes: Buffer): this {
    this.parts.push(bytes);
    return this;
  }

  u32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return this.raw(bytes);
  }

  u64(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return this.raw(bytes);
  }

  string(text: string): this {
    const bytes = Buffer.from(text);
    return this.u64(bytes.length).raw(bytes);
  }

  value(value: Value): this {
    if (typeof value === 'string') return this.string(value);
    if (typeof value === 'boolean') return this.raw(Buffer.from([value ? 1 : 0]));
    if (Array.isArray(value)) {
      this.u32(value[0] === undefined ? 4 : typeId(value[0])).u64(value.length);
      for (const one of value) this.value(one);
      return this;
    }
    const bytes = Buffer.alloc(value.type === 'u16' ? 2 : 4);
    if (value.type === 'f32') bytes.writeFloatLE(value.value);
    else if (value.type === 'i32') bytes.writeInt32LE(value.value);
    else if (value.type === 'u16') bytes.writeUInt16LE(value.value);
    else bytes.writeUInt32LE(value.value);
    return this.raw(bytes);
  }
}
