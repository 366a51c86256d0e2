/**
 * A LoRA adapter as PEFT saves it: adapter_config.json, and in adapter_model.safetensors two thin matrices for each
 * adapted one, whose product is added to it.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { FileToolError } from './errors.ts';
import { readJsonFile } from './json-file.ts';
import { isFloatType, readSafetensorsHeader, type TensorPlace } from './safetensors.ts';

export const adapterFiles = { config: 'adapter_config.json', weights: 'adapter_model.safetensors' } as const;

const flag = z.nullish(z.boolean());

const schema = z.looseObject({
  peft_type: z.string(),
  lora_alpha: z.number().positive(),
  use_rslora: flag,
  use_dora: flag,
  lora_bias: flag,
  alpha_pattern: z.nullish(z.record(z.string(), z.number().positive())),
  alora_invocation_tokens: z.nullish(z.array(z.int())),
  layer_replication: z.nullish(z.array(z.unknown())),
  peft_version: z.nullish(z.string()),
});

/** The matrices of one module; `a` has the model's columns, `b` its rows, `a` may be of an embedding. */
export interface AdaptedModule {
  /** As in the base model: `model.layers.0.self_attn.q_proj`. */
  name: string;
  a: TensorPlace;
  b: TensorPlace;
}

export interface PeftAdapter {
  weightsFile: string;
  alpha: number;
  modules: readonly AdaptedModule[];
  /** What the product of a parameter's matrices is multiplied by. */
  scaling(parameter: string, rank: number): number;
  /** Before PEFT 0.19.1 the experts of a stacked parameter had rows and columns changed about. */
  stacksColumnsFirst: boolean;
}

const suffix = /^(?:base_model\.model\.)?(.+)\.lora_(?:embedding_)?([AB])(?:\.weight)?$/;

/** @throws FileToolError on what is no LoRA, is damaged, or changes more than matrices */
export async function readPeftAdapter(folder: string): Promise<PeftAdapter> {
  const configFile = join(folder, adapterFiles.config);
  const config = await readJsonFile(configFile, schema);
  refuse(configFile, config);
  const { lora_alpha, use_rslora, peft_version } = config;
  const patterns = Object.entries(config.alpha_pattern ?? {}).map(
    ([key, alpha]) => [pattern(configFile, key), alpha] as const,
  );
  const weightsFile = join(folder, adapterFiles.weights);
  return {
    weightsFile,
    alpha: lora_alpha,
    modules: pairUp(weightsFile, await readSafetensorsHeader(weightsFile)),
    scaling: (parameter, rank) => {
      const alpha = patterns.find(([regex]) => regex.test(parameter))?.[1] ?? lora_alpha;
      return alpha / (use_rslora ? Math.sqrt(rank) : rank);
    },
    stacksColumnsFirst: !isAtLeast(peft_version ?? '0', [0, 19, 1]),
  };
}

function refuse(file: string, config: z.infer<typeof schema>): void {
  if (config.peft_type !== 'LORA') throw new FileToolError(file, `is a ${config.peft_type}, not a LORA`);
  const without = 'which llama.cpp has not';
  if (config.use_dora) throw new FileToolError(file, `has use_dora, ${without}`);
  if (config.lora_bias) throw new FileToolError(file, `has lora_bias, ${without}`);
  if (config.layer_replication) throw new FileToolError(file, `has layer_replication, ${without}`);
  if (config.alora_invocation_tokens) {
    throw new FileToolError(file, 'has alora_invocation_tokens, which this package does not serve');
  }
}

/** PEFT matches from a dot on to the end, as Python's regular expression. */
function pattern(file: string, key: string): RegExp {
  try {
    return new RegExp(`^(?:.*\\.)?(?:${key})$`);
  } catch (error) {
    throw new FileToolError(file, `alpha_pattern: "${key}" is no regular expression`, { cause: error });
  }
}

function pairUp(file: string, places: readonly TensorPlace[]): AdaptedModule[] {
  const halves = new Map<string, { A?: TensorPlace; B?: TensorPlace }>();
  for (const place of places) {
    // The model's own weights, which PEFT saves beside the matrices of an adapted embedding.
    if (place.name.endsWith('.base_layer.weight')) continue;
    const [, name, half] = suffix.exec(place.name) ?? [];
    if (!name)
      throw new FileToolError(file, `tensor ${place.name} is of no LoRA: only matrices are converted`);
    if (!isFloatType(place.dtype)) {
      throw new FileToolError(file, `tensor ${place.name} is ${place.dtype}; F32, F16 and BF16 are read`);
    }
    if (place.shape.length !== 2) {
      throw new FileToolError(file, `tensor ${place.name} is [${place.shape.join(', ')}], no matrix`);
    }
    halves.set(name, { ...halves.get(name), [half as 'A' | 'B']: place });
  }
  if (halves.size === 0) throw new FileToolError(file, 'holds no LoRA');
  return [...halves].map(([name, { A: a, B: b }]) => {
    if (!a || !b) throw new FileToolError(file, `${name} has only one of its two matrices`);
    if (a.shape[0] !== b.shape[1]) {
      throw new FileToolError(file, `${name} has matrices of the ranks ${a.shape[0]} and ${b.shape[1]}`);
    }
    return { name, a, b };
  });
}

function isAtLeast(version: string, least: readonly number[]): boolean {
  const parts = version.split('.').map((part) => Number.parseInt(part, 10) || 0);
  const at = least.findIndex((wanted, i) => (parts[i] ?? 0) !== wanted);
  return at < 0 || (parts[at] ?? 0) > least[at]!;
}
