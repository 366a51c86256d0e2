/** Placement: what is chosen for which devices, and what the choice does to a loaded model. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readHeader } from '../gguf/header.ts';
import { type Model, readModel } from '../gguf/model.ts';
import { huozi, writeSynthetic } from '../gguf/testing/synthetic.ts';
import type { Device } from '../native/devices.ts';
import { expertPattern } from '../native/placement.ts';
import { loadEngine } from './engine.ts';
import { PlacementError } from './errors.ts';
import { choosePlacement } from './placement.ts';
import { ask, start, tinyModel } from './testing/generate.ts';
import type { EngineOptions } from './types.ts';

const cpu: Device = { name: 'CPU', description: 'a CPU', kind: 'cpu', total: 64e9, free: 60e9 };
const gpu = (free: number, index = 0): Device => ({
  name: `CUDA${index}`,
  description: 'a card',
  kind: 'gpu',
  total: free,
  free,
});
const work = { contextTokens: 8192, slots: 8, batchTokens: 512 };

describe('what is chosen', () => {
  const folder = mkdtempSync(join(tmpdir(), 'huozi-placement-'));
  let model: Model;
  beforeAll(async () => {
    const path = join(folder, 'huozi.gguf');
    writeSynthetic(path, { shape: huozi, fileType: 'Q4_K_M' });
    model = readModel(await readHeader(path));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('without a GPU all stays in RAM, and asking for one is an error', () => {
    expect(choosePlacement(model, {}, work, [cpu])).toEqual({ gpuLayers: 0 });
    expect(choosePlacement(model, { cpuExpertLayers: 3 }, work, [cpu])).toMatchObject({ gpuLayers: 0 });
    for (const asked of [{ gpuLayers: 1 }, { mainGpu: 0 }, { tensorSplit: [1] }]) {
      expect(() => choosePlacement(model, asked, work, [cpu])).toThrow(/no GPU was found/);
    }
  });

  test('left open, it is the planner who says: all there if it fits, else the experts of some layers in RAM', () => {
    expect(choosePlacement(model, {}, work, [gpu(80e9), cpu])).toMatchObject({
      gpuLayers: 33,
      cpuExpertLayers: 0,
    });
    const small = choosePlacement(model, {}, work, [gpu(12e9), cpu]);
    expect(small.gpuLayers).toBe(33);
    expect(small.cpuExpertLayers).toBeGreaterThan(10);
    expect(small.cpuExpertLayers).toBeLessThan(33);
    // Smaller KV leaves more room for experts.
    const wide = { ...work, contextTokens: 32_768 };
    const f16 = choosePlacement(model, {}, wide, [gpu(12e9)]);
    const q4 = choosePlacement(model, { kvTypes: { keys: 'q4_0', values: 'q4_0' } }, wide, [gpu(12e9)]);
    expect(q4.cpuExpertLayers).toBeLessThan(f16.cpuExpertLayers ?? 0);
  });

  test('what is named is taken as it is', () => {
    const devices = [gpu(24e9), gpu(24e9, 1), cpu];
    const asked = {
      gpuLayers: 7,
      cpuExpertLayers: 2,
      tensorSplit: [3, 1],
      splitMode: 'row',
      mainGpu: 1,
    } as const;
    expect(choosePlacement(model, asked, work, devices)).toEqual(asked);
    expect(choosePlacement(model, { cpuExpertLayers: 32 }, work, devices)).toMatchObject({ gpuLayers: 33 });
  });

  test('what cannot be is refused in one line', () => {
    const two = [gpu(24e9), gpu(24e9, 1)];
    expect(() => choosePlacement(model, { mainGpu: 2 }, work, two)).toThrow(/no GPU 2: found CUDA0, CUDA1/);
    expect(() => choosePlacement(model, { tensorSplit: [1, 1, 1] }, work, two)).toThrow(
      /names 3 GPUs, and 2/,
    );
    const wide = { ...work, contextTokens: 2 ** 20 };
    expect(() => choosePlacement(model, {}, wide, [gpu(1e9)])).toThrow(
      /does not fit \(CUDA0 with 1.00 GB free/,
    );
    expect(() =>
      choosePlacement(model, { flashAttention: 'off', kvTypes: { keys: 'f16', values: 'q8_0' } }, work, [
        cpu,
      ]),
    ).toThrow(/q8_0 need flash attention/);
  });

  test('an integrated GPU counts where there is no other', () => {
    const integrated: Device = { ...gpu(80e9, 1), kind: 'igpu' };
    expect(choosePlacement(model, {}, work, [integrated, cpu]).gpuLayers).toBe(33);
    expect(() => choosePlacement(model, { mainGpu: 1 }, work, [gpu(80e9), integrated])).toThrow(/no GPU 1/);
  });
});

test.each([1, 2, 10, 11, 32, 100, 512])('the pattern names the experts of the first %i layers', (layers) => {
  const pattern = new RegExp(expertPattern(layers));
  const named = Array.from({ length: 600 }, (_, i) => i).filter((i) =>
    pattern.test(`blk.${i}.ffn_up_exps.weight`),
  );
  expect(named).toEqual(Array.from({ length: layers }, (_, i) => i));
});

test('the pattern names the experts, and nothing else', () => {
  const pattern = new RegExp(expertPattern(2));
  for (const part of ['gate', 'up', 'down']) {
    expect(pattern.test(`blk.1.ffn_${part}_exps.weight`)).toBe(true);
    expect(pattern.test(`blk.2.ffn_${part}_exps.weight`)).toBe(false);
    expect(pattern.test(`blk.11.ffn_${part}_exps.weight`)).toBe(false);
  }
  expect(pattern.test('blk.1.ffn_gate_inp.weight')).toBe(false);
  expect(pattern.test('blk.0.attn_q.weight')).toBe(false);
});

describe('a loaded model', () => {
  const base: EngineOptions = {
    modelPath: tinyModel,
    slots: 2,
    contextTokens: 512,
    batchTokens: 64,
    threads: 1,
  };

  /** Loads, has it answer, and tells both that and what was said of the placement. */
  async function answerWith(options: Partial<EngineOptions>, whileLoaded?: () => void) {
    const engine = await loadEngine({ ...base, ...options });
    try {
      whileLoaded?.();
      const { ids } = await start(engine, { promptIds: ask(engine, '请从一数到一百。'), maxTokens: 24 })
        .answer;
      return { ids, info: engine.info };
    } finally {
      await engine.close();
    }
  }
  const bytes = (
    info: { placement: { buffers: readonly { holds: string; bytes: number }[] } },
    holds: string,
  ) =>
    info.placement.buffers
      .filter((buffer) => buffer.holds === holds)
      .reduce((sum, one) => sum + one.bytes, 0);
  let plain: Awaited<ReturnType<typeof answerWith>>;
  beforeAll(async () => {
    plain = await answerWith({});
    expect(plain.ids.length).toBeGreaterThan(10);
  });

  test('with the experts of N layers overridden to RAM: so many tensors moved, and the same answer', async () => {
    expect(plain.info.placement).toMatchObject({ gpuLayers: 0, cpuExpertLayers: 0, overridden: 0 });
    const some = await answerWith({ cpuExpertLayers: 2 });
    expect(some.info.placement).toMatchObject({ cpuExpertLayers: 2, overridden: 6 });
    expect(some.ids).toEqual(plain.ids);
    const all = await answerWith({ cpuExpertLayers: 1024 });
    expect(all.info.placement.overridden).toBe(3 * plain.info.layers);
    expect(all.ids).toEqual(plain.ids);
  });

  test('with smaller KV: it takes the bytes that its type says, and answers', async () => {
    const f16 = bytes(plain.info, 'kv');
    const q8 = await answerWith({ kvTypes: { keys: 'q8_0', values: 'q8_0' } });
    expect(bytes(q8.info, 'kv') / f16).toBeCloseTo(34 / 64, 1);
    const mixed = await answerWith({ kvTypes: { keys: 'q8_0', values: 'q4_0' } });
    expect(bytes(mixed.info, 'kv') / f16).toBeCloseTo((34 + 18) / 128, 1);
    // Rounding of q8_0 may turn a near-tie, not an answer that was learnt by heart.
    expect(q8.ids.slice(0, 8)).toEqual(plain.ids.slice(0, 8));
    expect(mixed.ids.slice(0, 3)).toEqual(plain.ids.slice(0, 3));
    const keysOnly = { flashAttention: 'off', kvTypes: { keys: 'q8_0', values: 'f16' } } as const;
    expect((await answerWith(keysOnly)).ids.slice(0, 8)).toEqual(plain.ids.slice(0, 8));
    await expect(answerWith({ ...keysOnly, kvTypes: { keys: 'f16', values: 'q4_0' } })).rejects.toThrow(
      PlacementError,
    );
  });

  test('without mmap, and with flash attention off or on: the same answer from the start', async () => {
    for (const options of [{ mmap: false }, { flashAttention: 'on' }, { flashAttention: 'off' }] as const) {
      expect((await answerWith(options)).ids.slice(0, 8)).toEqual(plain.ids.slice(0, 8));
    }
  });

  test.runIf(process.platform === 'linux')(
    'locked: the kernel counts it, or a warning says why not',
    async () => {
      const locked = () =>
        Number(/VmLck:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
      const before = locked();
      let grown = 0;
      const { info } = await answerWith({ mlock: true }, () => {
        grown = locked() - before;
      });
      if (info.warnings.length > 0) expect(info.warnings[0]).toMatch(/failed to mlock/);
      else expect(grown).toBeGreaterThan(5e6);
    },
  );

  test('more threads for larger steps', async () => {
    expect((await answerWith({ threads: 1, threadsBatch: 2 })).ids.slice(0, 8)).toEqual(
      plain.ids.slice(0, 8),
    );
  });
});
