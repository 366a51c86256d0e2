import { writeFileSync } from 'node:fs';
import {
  encodeHeader,
  type Metadata,
  type MetadataValue,
  padding,
  type TensorInfo,
} from '../../files/gguf-header.ts';

/** `enum llama_token_type`. */
export const tokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, byte: 6 } as const;

interface Token {
  text: string;
  type: number;
  score: number;
}

export interface CraftedModel {
  /** Pieces beside bytes, single characters and control tokens, the most eager to merge first. */
  pieces?: readonly string[];
  markers?: readonly string[];
  markerType?: number;
  /** Laid over the metadata; undefined removes a key. */
  metadata?: Record<string, MetadataValue | undefined>;
}

const [width, hidden, layers, heads, experts] = [32, 32, 1, 2, 4];

export function tokensOf({
  pieces = [],
  markers = ['<|beginofutterance|>', '<|endofutterance|>'],
  ...rest
}: CraftedModel) {
  const tokens: Token[] = [
    { text: '<unk>', type: tokenType.unknown, score: 0 },
    { text: '<s>', type: tokenType.control, score: 0 },
    { text: '</s>', type: tokenType.control, score: 0 },
  ];
  for (let byte = 0; byte < 256; byte++) {
    const text = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    tokens.push({ text, type: tokenType.byte, score: 0 });
  }
  const ascii = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i));
  const characters = ['▁', ...ascii, ...'用户系统助手你好'];
  for (const text of [...pieces, ...characters]) {
    tokens.push({ text, type: tokenType.normal, score: -tokens.length });
  }
  for (const text of markers) tokens.push({ text, type: rest.markerType ?? tokenType.control, score: 0 });
  return tokens;
}

/** A whole Mixtral-shaped model of 100 kB, with weights that mean nothing and a vocabulary made for a test. */
export function writeModel(path: string, model: CraftedModel = {}): void {
  const tokens = tokensOf(model);
  const metadata: Metadata = new Map(
    Object.entries({
      'general.architecture': { type: 'string', value: 'llama' },
      'general.name': { type: 'string', value: 'crafted' },
      'llama.context_length': { type: 'u32', value: 512 },
      'llama.embedding_length': { type: 'u32', value: width },
      'llama.block_count': { type: 'u32', value: layers },
      'llama.feed_forward_length': { type: 'u32', value: hidden },
      'llama.attention.head_count': { type: 'u32', value: heads },
      'llama.attention.head_count_kv': { type: 'u32', value: heads },
      'llama.attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-5 },
      'llama.rope.dimension_count': { type: 'u32', value: width / heads },
      'llama.expert_count': { type: 'u32', value: experts },
      'llama.expert_used_count': { type: 'u32', value: 2 },
      'tokenizer.ggml.model': { type: 'string', value: 'llama' },
      'tokenizer.ggml.tokens': { type: 'strings', value: tokens.map(({ text }) => text) },
      'tokenizer.ggml.scores': { type: 'f32s', value: tokens.map(({ score }) => score) },
      'tokenizer.ggml.token_type': { type: 'i32s', value: tokens.map(({ type }) => type) },
      'tokenizer.ggml.bos_token_id': { type: 'u32', value: 1 },
      'tokenizer.ggml.eos_token_id': { type: 'u32', value: 2 },
      'tokenizer.ggml.unknown_token_id': { type: 'u32', value: 0 },
    } satisfies Record<string, MetadataValue>),
  );
  for (const [key, value] of Object.entries(model.metadata ?? {})) {
    if (value) metadata.set(key, value);
    else metadata.delete(key);
  }
  const tensors = tensorsOf(tokens.length);
  let seed = 1;
  const data = tensors.map(({ name, shape }) => {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < values.length; i++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      values[i] = name.endsWith('norm.weight') ? 1 : seed / 2 ** 32 - 0.5;
    }
    return Buffer.concat([Buffer.from(values.buffer), Buffer.alloc(padding(values.byteLength))]);
  });
  writeFileSync(path, Buffer.concat([encodeHeader(metadata, tensors), ...data]));
}

function tensorsOf(vocabulary: number): TensorInfo[] {
  const shapes: Record<string, number[]> = {
    'token_embd.weight': [vocabulary, width],
    'output_norm.weight': [width],
    'output.weight': [vocabulary, width],
    'blk.0.attn_norm.weight': [width],
    'blk.0.attn_q.weight': [width, width],
    'blk.0.attn_k.weight': [width, width],
    'blk.0.attn_v.weight': [width, width],
    'blk.0.attn_output.weight': [width, width],
    'blk.0.ffn_norm.weight': [width],
    'blk.0.ffn_gate_inp.weight': [experts, width],
    'blk.0.ffn_gate_exps.weight': [experts, hidden, width],
    'blk.0.ffn_up_exps.weight': [experts, hidden, width],
    'blk.0.ffn_down_exps.weight': [experts, width, hidden],
  };
  return Object.entries(shapes).map(([name, shape]) => ({ name, shape, type: 'F32' }));
}
