/** The key-value part of a converted file, in the order of llama.cpp's converter. */
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import type { Metadata, MetadataValue, TensorInfo, TensorType } from './gguf-header.ts';
import { readOptionalJsonFile } from './json-file.ts';
import { headDim, type MixtralConfig, ropeTheta } from './mixtral-config.ts';
import { type ModelName, parseModelName } from './model-name.ts';
import { elementCount } from './safetensors.ts';
import { addSpecialTokens } from './special-tokens.ts';
import { readVocabulary } from './vocabulary.ts';

/** llama.cpp's `llama_ftype`. */
const fileTypes = { F32: 0, F16: 1, Q8_0: 7, BF16: 32 } as const satisfies Record<TensorType, number>;

/** Of the quantised formats themselves, not of this file. */
const quantizationVersion = 2;

const anyObject = z.record(z.string(), z.unknown());

/** generation_config.json's names, and the keys and types that llama.cpp reads as recommended sampling. */
const samplingKeys: [names: string[], key: string, type: 'i32' | 'f32'][] = [
  [['top_k'], 'top_k', 'i32'],
  [['top_p'], 'top_p', 'f32'],
  [['min_p'], 'min_p', 'f32'],
  [['xtc_probability'], 'xtc_probability', 'f32'],
  [['xtc_threshold'], 'xtc_threshold', 'f32'],
  [['temperature'], 'temp', 'f32'],
  [['penalty_last_n'], 'penalty_last_n', 'i32'],
  [['penalty_repeat', 'repetition_penalty'], 'penalty_repeat', 'f32'],
];

export interface MetadataResult {
  metadata: Metadata;
  warnings: string[];
}

/** @throws FileToolError when one of the folder's files cannot be used */
export async function mixtralMetadata(
  folder: string,
  config: MixtralConfig,
  tensors: readonly TensorInfo[],
  type: TensorType,
): Promise<MetadataResult> {
  const metadata: Metadata = new Map<string, MetadataValue>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.type', { type: 'string', value: 'model' }],
  ]);
  const text = (key: string, value: string | undefined) =>
    value && metadata.set(key, { type: 'string', value });
  const u32 = (key: string, value: number) => metadata.set(key, { type: 'u32', value });
  const f32 = (key: string, value: number) => metadata.set(key, { type: 'f32', value });

  const generation = await readOptionalJsonFile(join(folder, 'generation_config.json'), anyObject);
  for (const [names, key, valueType] of samplingKeys) {
    const value = names.map((name) => generation?.[name]).find((found) => found !== undefined);
    if (typeof value === 'number') metadata.set(`general.sampling.${key}`, { type: valueType, value });
  }

  const sizes = parameterCounts(tensors);
  const name = modelName(folder, config, sizes.total);
  text('general.name', name.name);
  text('general.version', name.version);
  text('general.organization', name.organization);
  text('general.finetune', name.finetune);
  text('general.basename', name.basename);
  text('general.size_label', name.sizeLabel ?? sizeLabel(sizes));

  u32('llama.block_count', config.num_hidden_layers);
  u32('llama.context_length', config.max_position_embeddings);
  u32('llama.embedding_length', config.hidden_size);
  u32('llama.feed_forward_length', config.intermediate_size);
  u32('llama.attention.head_count', config.num_attention_heads);
  u32('llama.attention.head_count_kv', config.num_key_value_heads);
  f32('llama.rope.freq_base', ropeTheta(config));
  f32('llama.attention.layer_norm_rms_epsilon', config.rms_norm_eps);
  u32('llama.expert_count', config.num_local_experts);
  u32('llama.expert_used_count', config.num_experts_per_tok);
  if (config.head_dim) {
    u32('llama.attention.key_length', config.head_dim);
    u32('llama.attention.value_length', config.head_dim);
  }
  u32('general.file_type', fileTypes[type]);
  u32('llama.vocab_size', config.vocab_size);
  u32('llama.rope.dimension_count', headDim(config));
  u32('general.quantization_version', quantizationVersion);

  const tokenizerConfig = await readOptionalJsonFile(join(folder, 'tokenizer_config.json'), anyObject);
  const prefix = tokenizerConfig?.add_prefix_space;
  if (typeof prefix === 'boolean')
    metadata.set('tokenizer.ggml.add_space_prefix', { type: 'bool', value: prefix });
  const { tokens, scores, types, warnings } = await readVocabulary(folder, config.vocab_size);
  text('tokenizer.ggml.model', 'llama');
  text('tokenizer.ggml.pre', 'default');
  metadata.set('tokenizer.ggml.tokens', { type: 'strings', value: tokens });
  metadata.set('tokenizer.ggml.scores', { type: 'f32s', value: scores });
  metadata.set('tokenizer.ggml.token_type', { type: 'i32s', value: types });
  await addSpecialTokens(folder, tokens.length, metadata);
  return { metadata, warnings };
}

/** config.json's own name first, unless it is a path on somebody's disk; then the folder's. */
function modelName(folder: string, config: MixtralConfig, parameters: number): ModelName {
  const given = config._name_or_path;
  const fromFolder = parseModelName(basename(resolve(folder)), parameters);
  if (!given || given.split('/').length > 2) return fromFolder;
  return { ...fromFolder, ...parseModelName(given, parameters) };
}

interface ParameterCounts {
  total: number;
  /** Of one expert in every layer, and of everything that is no expert. */
  perExpert: number;
  shared: number;
  experts: number;
}

function parameterCounts(tensors: readonly TensorInfo[]): ParameterCounts {
  const counts: ParameterCounts = { total: 0, perExpert: 0, shared: 0, experts: 0 };
  for (const { name, shape } of tensors) {
    const size = elementCount(shape);
    counts.total += size;
    if (name.includes('_exps.')) {
      counts.experts = shape[0]!;
      counts.perExpert += size / shape[0]!;
    } else counts.shared += size;
  }
  return counts;
}

/** `8x7B`: experts, and the size that one expert and what all share have together. */
function sizeLabel({ experts, shared, perExpert }: ParameterCounts): string {
  return `${experts}x${rounded(shared + perExpert)}`;
}

function rounded(parameters: number): string {
  const units: [limit: number, factor: number, suffix: string][] = [
    [1e12, 1e-12, 'T'],
    [1e9, 1e-9, 'B'],
    [1e6, 1e-6, 'M'],
  ];
  const [, factor, suffix] = units.find(([limit]) => parameters > limit) ?? [0, 1e-3, 'K'];
  const scaled = parameters * factor;
  // Two digits, as in 7.2B and 47B.
  const decimals = Math.max(2 - String(Math.round(scaled)).replace(/^0+/, '').length, 0);
  return `${scaled.toFixed(decimals)}${suffix}`;
}
