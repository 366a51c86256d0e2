/**
 * LoRA as `vllm serve` is told of it. Left to itself it takes ranks up to 16, and one adapter a step, so that those of others
 * wait for it.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { AdapterFile } from '../engine/types.ts';
import { readJsonFile } from '../files/json-file.ts';
import { adapterFiles } from '../files/peft-adapter.ts';

/** Those that vLLM knows; past the last one it says so itself. */
const ranks = [1, 8, 16, 32, 64, 128, 256, 320, 512];

const schema = z.looseObject({
  r: z.int().positive(),
  rank_pattern: z.nullish(z.record(z.string(), z.int().positive())),
});

/** @throws FileToolError on a folder whose adapter_config.json is damaged */
export async function loraArgs(adapters: readonly AdapterFile[]): Promise<string[]> {
  if (adapters.length === 0) return [];
  // One without is the name of a repository, which vLLM fetches.
  const files = adapters
    .map(({ path }) => join(path, adapterFiles.config))
    .filter((file) => existsSync(file));
  const configs = await Promise.all(files.map((file) => readJsonFile(file, schema)));
  const most = Math.max(
    0,
    ...configs.flatMap(({ r, rank_pattern }) => [r, ...Object.values(rank_pattern ?? {})]),
  );
  return [
    '--enable-lora',
    ...['--max-loras', String(adapters.length)],
    ...(most > 0 ? ['--max-lora-rank', String(ranks.find((rank) => rank >= most) ?? most)] : []),
    ...['--lora-modules', ...adapters.map(({ name, path }) => `${name}=${path}`)],
  ];
}
