/** What config.json must say of a Mixtral, in its own names. */
import { join } from 'node:path';
import { z } from 'zod';
import { FileToolError } from './errors.ts';
import { readJsonFile } from './json-file.ts';

const count = z.int().positive();

const rope = z.looseObject({
  rope_theta: z.optional(z.number()),
  rope_type: z.optional(z.string()),
  type: z.optional(z.string()),
});

const schema = z.looseObject({
  architectures: z.array(z.string()),
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count,
  num_local_experts: count,
  num_experts_per_tok: count,
  max_position_embeddings: count,
  rms_norm_eps: z.number(),
  head_dim: z.nullish(count),
  rope_theta: z.optional(z.number()),
  rope_parameters: z.nullish(rope),
  rope_scaling: z.nullish(rope),
  _name_or_path: z.optional(z.string()),
});

export type MixtralConfig = z.infer<typeof schema>;

/** transformers' default for this architecture. */
const defaultRopeTheta = 1e6;

/** @throws FileToolError when the file is missing, lacks a number, or is of another architecture */
export async function readMixtralConfig(folder: string): Promise<MixtralConfig> {
  const file = join(folder, 'config.json');
  const config = await readJsonFile(file, schema);
  const architecture = config.architectures[0];
  if (architecture !== 'MixtralForCausalLM') {
    throw new FileToolError(file, `is a ${architecture}, and only MixtralForCausalLM is converted`);
  }
  const { rope_parameters, rope_scaling } = config;
  const ropeType = rope_parameters?.rope_type ?? rope_scaling?.rope_type ?? rope_scaling?.type ?? 'default';
  if (ropeType !== 'default') {
    throw new FileToolError(file, `scales its positions (${ropeType}), which is not converted`);
  }
  return config;
}

export function headDim(config: MixtralConfig): number {
  return config.head_dim ?? config.hidden_size / config.num_attention_heads;
}

export function ropeTheta(config: MixtralConfig): number {
  return config.rope_parameters?.rope_theta ?? config.rope_theta ?? defaultRopeTheta;
}
