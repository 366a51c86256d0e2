/** Adapters on the real model: each request under its own, whatever else is in the batch. */
import { mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convertLora } from '../files/convert-lora.ts';
import { randomMatrices, writePeftFolder } from '../files/testing/peft-folder.ts';
import { craftAdapter, tinyTensors } from '../gguf/testing/crafted-adapter.ts';
import { loadEngine } from './engine.ts';
import { AdapterError, UnknownAdapterError } from './errors.ts';
import { ask, questions, start, tinyModel } from './testing/generate.ts';
import type { AdapterFile, Engine, EngineOptions } from './types.ts';

const options: EngineOptions = {
  modelPath: tinyModel,
  slots: 8,
  contextTokens: 4096,
  batchTokens: 64,
  threads: 1,
  gpuLayers: 0,
};

let folder: string;
let engine: Engine;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huozi-lora-'));
  await craftAdapter(join(folder, 'one.gguf'), 1, 3);
  await craftAdapter(join(folder, 'two.gguf'), 2, 3);
  await craftAdapter(join(folder, 'nothing.gguf'), 3, 0);
  const at = (name: string, file = name): AdapterFile => ({ name, path: join(folder, `${file}.gguf`) });
  const adapters = [at('one'), at('two'), at('nothing'), { ...at('faint', 'one'), scale: 1e-9 }];
  engine = await loadEngine({ ...options, adapters });
});
afterAll(async () => {
  await engine?.close();
  await rm(folder, { recursive: true, force: true });
});

const under = (question: string, adapter?: string) =>
  start(engine, { promptIds: ask(engine, question), ...(adapter && { adapter }) }).answer;

describe('adapters', () => {
  it('are named, and change what they are on and nothing else', async () => {
    expect(engine.info.adapters).toEqual(['one', 'two', 'nothing', 'faint']);
    for (const question of questions.slice(0, 3)) {
      const plain = await under(question);
      const [one, two] = [await under(question, 'one'), await under(question, 'two')];
      expect(new Set([plain.text, one.text, two.text]).size).toBe(3);
      // Of no weight: by its matrices, or by its scale.
      expect((await under(question, 'nothing')).ids).toEqual(plain.ids);
      expect((await under(question, 'faint')).ids).toEqual(plain.ids);
      expect((await under(question)).ids).toEqual(plain.ids);
    }
  });

  it('take turns: many at once, each as if alone', async () => {
    const all = questions
      .slice(0, 4)
      .flatMap((question) => [undefined, 'one', 'two'].map((adapter) => ({ question, adapter })));
    const alone: number[][] = [];
    for (const { question, adapter } of all) alone.push((await under(question, adapter)).ids);
    // Another tenant's, so that nothing is in the cache.
    const together = await Promise.all(
      all.map(
        ({ question, adapter }) =>
          start(engine, {
            promptIds: ask(engine, question),
            tenant: 'together',
            ...(adapter && { adapter }),
          }).answer,
      ),
    );
    const same = together.filter(({ ids }, at) => ids.join() === alone[at]!.join());
    // An answer past what the model knows may turn on a near-tie, which a batch of another shape decides otherwise.
    expect(same.length).toBeGreaterThanOrEqual(all.length - 1);
    for (const [at, { adapter }] of all.entries()) {
      if (!adapter) expect(together[at]!.ids).toEqual(alone[at]);
    }
    expect(engine.stats).toMatchObject({ active: 0, kvUsed: 0 });
  });

  it('share no cached prefix with each other or with the model alone', async () => {
    const promptIds = ask(engine, '春眠不觉晓，处处闻啼鸟。'.repeat(4));
    const cached = async (adapter?: string) =>
      (await start(engine, { promptIds, tenant: 'cache', ...(adapter && { adapter }) }).answer).cachedTokens;
    expect([await cached(), await cached('one'), await cached('two')]).toEqual([0, 0, 0]);
    expect([await cached(), await cached('one')]).toEqual([promptIds.length - 1, promptIds.length - 1]);
  });

  it('that nobody loaded are refused', () => {
    const promptIds = ask(engine, '你好');
    expect(() => start(engine, { promptIds, adapter: 'three' })).toThrow(UnknownAdapterError);
  });
});

describe("a folder of PEFT's", () => {
  let peft: string;
  const copy = () => join(peft, 'adapter_model.gguf');
  const write = async (seed: number) => {
    const random = randomMatrices(seed);
    const modules = ['self_attn.o_proj', 'block_sparse_moe.experts.3.w2'];
    const tensors = modules.flatMap((module) => {
      const name = `model.layers.2.${module}`;
      return [
        [`${name}.lora_A.weight`, random(2, 256, 0.2)],
        [`${name}.lora_B.weight`, random(256, 2, 20)],
      ] as const;
    });
    await writePeftFolder(peft, {}, new Map(tensors));
  };
  const answer = async (path: string) => {
    const own = await loadEngine({ ...options, adapters: [{ name: 'peft', path }] });
    try {
      const promptIds = ask(own, '背诵《静夜思》');
      return (await start(own, { promptIds, adapter: 'peft' }).answer).text;
    } finally {
      await own.close();
    }
  };

  it('that lacks its files is told in one line', async () => {
    const failure = await answer(folder).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(AdapterError);
    expect((failure as Error).message).toMatch(/^adapter peft: .*adapter_config\.json: no such file/);
  });

  it('is converted once, and again when it changes', async () => {
    peft = join(folder, 'peft');
    await write(5);
    const first = await answer(peft);
    expect(first).not.toBe((await under('背诵《静夜思》')).text);
    const file = join(folder, 'peft.gguf');
    await convertLora({ folder: peft, base: tinyModel, out: file });
    expect(await answer(file)).toBe(first);

    const made = await stat(copy());
    expect(await answer(peft)).toBe(first);
    expect((await stat(copy())).ino).toBe(made.ino);

    await write(6);
    const later = new Date(made.mtimeMs + 1000);
    await utimes(join(peft, 'adapter_model.safetensors'), later, later);
    expect(await answer(peft)).not.toBe(first);
  });
});

it.each<[string, () => Promise<void> | void, RegExp]>([
  ['a file that is not there', () => {}, /adapter bad: there is no file/],
  ['no GGUF', () => writeFile(join(folder, 'bad.gguf'), 'no adapter at all'), /adapter bad: .*bad\.gguf: ./],
  [
    'one for another model',
    () => craftAdapter(join(folder, 'bad.gguf'), 1, 1, [{ ...tinyTensors[0]!, columns: 128 }]),
    /adapter bad: .*bad\.gguf: ./,
  ],
  [
    'one for tensors that the model lacks',
    () => craftAdapter(join(folder, 'bad.gguf'), 1, 1, [{ ...tinyTensors[0]!, name: 'blk.9.attn_q.weight' }]),
    /adapter bad: .*bad\.gguf: ./,
  ],
])('%s is told in one line', async (_, make, message) => {
  await make();
  const failure = await loadEngine({
    ...options,
    adapters: [{ name: 'bad', path: join(folder, 'bad.gguf') }],
  }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(AdapterError);
  expect((failure as Error).message).toMatch(message);
  expect((failure as Error).message).not.toContain('\n');
});
