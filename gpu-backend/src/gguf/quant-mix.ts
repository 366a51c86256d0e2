/**
 * The type that `llama-quantize` gives each tensor of a Mixtral-shaped model, per file type.
 *
 * Ported from `llama_tensor_get_type_impl` and `tensor_type_fallback` in llama.cpp v0.4.0's
 * src/llama-quant.cpp: architecture `llama`, no importance matrix, no overrides; only the file types below.
 */
import { ggmlType } from './ggml-types.ts';

/** File type → the type of what no rule below names. */
const defaults = {
  F32: 'F32',
  BF16: 'BF16',
  F16: 'F16',
  Q8_0: 'Q8_0',
  Q6_K: 'Q6_K',
  Q5_K_M: 'Q5_K',
  Q5_K_S: 'Q5_K',
  Q5_1: 'Q5_1',
  Q5_0: 'Q5_0',
  Q4_K_M: 'Q4_K',
  Q4_K_S: 'Q4_K',
  Q4_1: 'Q4_1',
  Q4_0: 'Q4_0',
  Q3_K_L: 'Q3_K',
  Q3_K_M: 'Q3_K',
  Q3_K_S: 'Q3_K',
  Q2_K: 'Q2_K',
} as const;

export type FileType = keyof typeof defaults;

/** The file types worth offering, best first: llama.cpp's own recommendations and what the model's users convert to. */
export const offeredFileTypes: readonly FileType[] = ['Q8_0', 'Q6_K', 'Q5_K_M', 'Q4_K_M', 'Q3_K_M', 'Q2_K'];

export interface MixModel {
  layers: number;
  experts: number;
  /** Query heads to one KV head. */
  groupedHeads: number;
}

/**
 * @param name as in the file, `blk.3.ffn_down_exps.weight`
 * @param shape ggml's order: values of one row first
 * @returns a ggml type name
 */
export function mixedType(
  fileType: FileType,
  name: string,
  shape: readonly number[],
  model: MixModel,
): string {
  const plain = defaults[fileType];
  // Also stacked norms' one-dimensional kin, and the router, stay as the converter wrote them.
  if (shape.length < 2 || name.endsWith('_norm.weight') || name.endsWith('ffn_gate_inp.weight')) return 'F32';
  if (['F32', 'F16', 'BF16'].includes(plain)) return plain;
  return fitting(chosen(fileType, plain, name, shape, model), shape[0] ?? 1);
}

function chosen(
  fileType: FileType,
  plain: string,
  name: string,
  shape: readonly number[],
  model: MixModel,
): string {
  if (name === 'output.weight') {
    if ((shape[0] ?? 1) % ggmlType(plain).blockSize !== 0) return 'Q8_0';
    return plain === 'Q8_0' ? 'Q8_0' : 'Q6_K';
  }
  const layer = Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? Number.NaN);
  if (name.endsWith('attn_v.weight')) {
    return model.experts === 8 ? 'Q8_0' : attentionValueType(fileType, plain, layer, model);
  }
  if (name.endsWith('attn_k.weight')) return model.experts === 8 ? 'Q8_0' : plain;
  if (name.endsWith('attn_output.weight')) return attentionOutputType(fileType, plain, model);
  if (name.includes('.ffn_down')) return downType(fileType, plain, layer, model);
  return plain;
}

function attentionValueType(fileType: FileType, plain: string, layer: number, model: MixModel): string {
  switch (fileType) {
    case 'Q2_K':
      return model.groupedHeads >= 4 ? 'Q4_K' : 'Q3_K';
    case 'Q3_K_M':
      return layer < 2 ? 'Q5_K' : 'Q4_K';
    case 'Q3_K_L':
      return 'Q5_K';
    case 'Q4_K_M':
    case 'Q5_K_M':
      return usesMoreBits(layer, model.layers) ? 'Q6_K' : plain;
    case 'Q4_K_S':
      return layer < 4 ? 'Q5_K' : plain;
    default:
      return plain;
  }
}

function attentionOutputType(fileType: FileType, plain: string, model: MixModel): string {
  if (model.experts === 8) {
    return ['Q2_K', 'Q3_K_S', 'Q3_K_M', 'Q4_K_S', 'Q4_K_M'].includes(fileType) ? 'Q5_K' : plain;
  }
  if (fileType === 'Q2_K') return 'Q3_K';
  if (fileType === 'Q3_K_M') return 'Q4_K';
  if (fileType === 'Q3_K_L') return 'Q5_K';
  return plain;
}

function downType(fileType: FileType, plain: string, layer: number, { layers }: MixModel): string {
  const eighth = Math.floor(layers / 8);
  switch (fileType) {
    case 'Q2_K':
      return 'Q3_K';
    case 'Q3_K_M':
      return layer < Math.floor(layers / 16) ? 'Q5_K' : 'Q4_K';
    case 'Q3_K_L':
      return 'Q5_K';
    case 'Q4_K_M':
    case 'Q5_K_M':
      return usesMoreBits(layer, layers) ? 'Q6_K' : plain;
    case 'Q4_K_S':
      return layer < eighth ? 'Q5_K' : plain;
    default:
      return plain;
  }
}

/** The first and the last eighth of the layers, and every third between. */
function usesMoreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}

const fallbacks: Record<string, string> = {
  Q2_K: 'Q4_0',
  Q3_K: 'Q4_0',
  Q4_K: 'Q5_0',
  Q5_K: 'Q5_1',
  Q6_K: 'Q8_0',
};

/** Rows that are no whole number of blocks get a type of smaller blocks. */
function fitting(type: string, rowLength: number): string {
  if (rowLength % ggmlType(type).blockSize === 0) return type;
  const smaller = fallbacks[type] ?? type;
  return rowLength % ggmlType(smaller).blockSize === 0 ? smaller : 'F16';
}
