import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writePeftFolder } from '../files/testing/peft-folder.ts';
import { loraArgs } from './lora-args.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huozi-lora-args-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function argsOf(...configs: object[]): Promise<string> {
  const adapters = configs.map((_, i) => ({ name: `a${i}`, path: join(folder, `a${i}`) }));
  for (const [i, { path }] of adapters.entries()) await writePeftFolder(path, configs[i]!, new Map());
  return (await loraArgs(adapters)).join(' ').replaceAll(`${folder}/`, '');
}

it('makes room for the highest rank, and for all adapters in one step', async () => {
  expect(await argsOf({ r: 4, rank_pattern: { q_proj: 24 } }, { r: 8 })).toBe(
    '--enable-lora --max-loras 2 --max-lora-rank 32 --lora-modules a0=a0 a1=a1',
  );
});

it('leaves a repository that is not here to vLLM', async () => {
  const args = ['--enable-lora', '--max-loras', '1', '--lora-modules', 'far=somebody/adapter'];
  expect(await loraArgs([{ name: 'far', path: 'somebody/adapter' }])).toEqual(args);
});
