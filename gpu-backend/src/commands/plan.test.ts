/** `plan` and `inspect` as a person or a script calls them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { GgufError } from '../gguf/errors.ts';
import { serveRanges } from '../gguf/testing/range-server.ts';
import { huozi, writeSynthetic } from '../gguf/testing/synthetic.ts';
import type { Command } from './command.ts';
import { UsageError } from './command.ts';
import { inspect } from './inspect.ts';
import { parsePlacement, placementFlags } from './placement-flags.ts';
import { plan } from './plan.ts';

const folder = mkdtempSync(join(tmpdir(), 'huozi-plan-'));
const model = join(folder, 'huozi-Q4_K_M.gguf');
beforeAll(() => {
  writeSynthetic(model, { shape: huozi, fileType: 'Q4_K_M' });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(command: Command, ...args: string[]): Promise<{ code: number; stdout: string }> {
  let stdout = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  try {
    return { code: (await command.run(args)) ?? 0, stdout };
  } finally {
    write.mockRestore();
  }
}

async function json(command: Command, ...args: string[]) {
  const { code, stdout } = await run(command, ...args, '--json');
  return { code, ...JSON.parse(stdout) };
}

test('--json: devices with their bytes, which add up, the placement and the ceiling', async () => {
  const planned = await json(plan, model, '--vram', '24GB', '--ram', '64GB');
  expect(planned).toMatchObject({ code: 0, fits: true, gpu_layers: 33 });
  expect(planned.cpu_expert_layers).toBeGreaterThan(0);
  expect(planned.tokens_per_second_ceiling).toBeGreaterThan(0);
  expect(planned.devices.map((device: object) => Object.keys(device))).toEqual(
    Array(2).fill(['name', 'kind', 'weights_bytes', 'kv_bytes', 'compute_bytes', 'total_bytes']),
  );
  expect(planned.devices.map(({ kind }: { kind: string }) => kind)).toEqual(['gpu', 'cpu']);
  for (const { weights_bytes, kv_bytes, compute_bytes, total_bytes } of planned.devices) {
    expect(total_bytes).toBe(weights_bytes + kv_bytes + compute_bytes);
    for (const bytes of [weights_bytes, kv_bytes, compute_bytes]) expect(Number.isInteger(bytes)).toBe(true);
  }
});

test('an explicit placement is planned as asked, whether it fits or not', async () => {
  const asked = ['--gpu-layers', '20', '--cpu-experts', '16', '--context', '4096'];
  const fits = await json(plan, model, '--vram', '24GB', ...asked);
  expect(fits).toMatchObject({ code: 0, gpu_layers: 20, cpu_expert_layers: 16 });
  const all = await json(plan, model, '--vram', '24GB', '--gpu-layers', 'all', '--cpu-experts', 'all');
  expect(all).toMatchObject({ code: 0, gpu_layers: 33, cpu_expert_layers: 32 });
  const tight = await json(plan, model, '--vram', '4GB', ...asked);
  expect(tight).toMatchObject({ code: 3, fits: false, gpu_layers: 20, cpu_expert_layers: 16 });
  expect(tight.devices).toEqual(fits.devices);
  expect(tight.would_fit[0].change).toBe('placement');
});

test('the serve command line that it prints is one that serve reads as the same placement', async () => {
  const planned = await json(plan, model, '--vram', '12GB,8GB', '--ram', '64GB', '--kv-type', 'q8_0');
  const { values } = parseArgs({
    args: planned.serve_args,
    options: {
      ...placementFlags,
      ...(Object.fromEntries(
        ['model', 'context', 'slots', 'batch'].map((flag) => [flag, { type: 'string' }]),
      ) as Record<string, { type: 'string' }>),
    },
  });
  expect(parsePlacement(values)).toEqual({
    gpuLayers: planned.gpu_layers,
    cpuExpertLayers: planned.cpu_expert_layers,
    kvTypes: { keys: 'q8_0', values: 'q8_0' },
    ...(planned.tensor_split && { tensorSplit: planned.tensor_split }),
  });
  expect(values).toMatchObject({ model, context: '32768', slots: '8', batch: '512' });
  const { stdout } = await run(plan, model, '--vram', '12GB,8GB', '--ram', '64GB');
  expect(stdout).toMatch(
    /^serve so: huozi-gpu-backend serve --model \S+ --gpu-layers \d+ --cpu-experts \d+ /m,
  );
});

test('what does not fit exits with 3 and says what lacks and what would fit', async () => {
  const { code, stdout } = await run(plan, model, '--vram', '8GB', '--ram', '16GB');
  expect(code).toBe(3);
  expect(stdout).toMatch(/^does not fit: gpu0 needs [\d.]+ GB of 8\.00 GB/m);
  expect(stdout).toMatch(/^would fit:\n( {2}.+\n)+$/m);
});

test('slower memory lowers the ceiling in proportion', async () => {
  const at = (rate: string) => json(plan, model, '--ram-bandwidth', rate);
  const [slow, fast, named] = [await at('50GB/s'), await at('100GB/s'), await at('ddr4-3200x2')];
  expect(fast.tokens_per_second_ceiling / slow.tokens_per_second_ceiling).toBeCloseTo(2);
  expect(named.bandwidth.cpu).toBe(51.2e9);
});

test.each([
  [[], /takes one model/],
  [['a.gguf', 'b.gguf'], /takes one model/],
  [['a.gguf', '--vram', 'much'], /--vram takes a size/],
  [['a.gguf', '--vram', '24GB,'], /--vram takes a size/],
  [['a.gguf', '--ram', '0'], /--ram takes a size/],
  [['a.gguf', '--context', '0'], /--context takes a whole number/],
  [['a.gguf', '--slots', '257'], /--slots takes a whole number/],
  [['a.gguf', '--kv-type', 'f8'], /--kv-type takes f16, q8_0, q4_0/],
  [['a.gguf', '--gpu-layers', 'some'], /--gpu-layers takes a whole number/],
  [['a.gguf', '--gpu-layers', '9'], /--gpu-layers needs --vram/],
  [['a.gguf', '--ram-bandwidth', 'ddr9'], /--ram-bandwidth takes a rate/],
])('a wrong command line is told before anything is read: %j', async (args, message) => {
  const error = await plan.run(args as string[]).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UsageError);
  expect((error as Error).message).toMatch(message);
});

test('a URL is planned and inspected as the file is', async () => {
  const server = await serveRanges(folder);
  onTestFinished(() => server.close());
  const url = server.url('huozi-Q4_K_M.gguf');
  for (const command of [plan, inspect]) {
    const remote = await run(command, url, '--json');
    const local = await run(command, model, '--json');
    // What is to be served lies on disk by then, under the URL's last name.
    const told = remote.stdout.replaceAll(url, model).replace('"huozi-Q4_K_M.gguf"', JSON.stringify(model));
    expect(told).toBe(local.stdout);
  }
});

test('inspect: shape, parameters, mixture, markers, KV', async () => {
  const found = await json(inspect, model, '--tensors');
  expect(found).toMatchObject({
    architecture: 'llama',
    layers: 32,
    experts: 8,
    experts_used: 2,
    expert_tensors: 'stacked',
    vocabulary: 57_002,
    context: 32_768,
    kv_bytes_per_token: { f16: 131_072, q8_0: 69_632, q4_0: 36_864 },
    markers: { begin: { id: 57_000, type: 'control' }, end: { id: 57_001, type: 'control' } },
  });
  expect(Object.keys(found.types)).toEqual(['Q4_K', 'Q6_K', 'Q5_K', 'Q8_0', 'F32']);
  expect(found.tensors).toHaveLength(323);
  const { stdout } = await run(inspect, model);
  expect(stdout).toMatch(/^parameters +46\.9 B, 13\.1 B active/m);
  expect(stdout).toMatch(/^markers +<\|beginofutterance\|> = 57000 \(control\)/m);
});

test('what is no model rejects with one line', async () => {
  const path = join(folder, 'notes.txt');
  writeFileSync(path, 'not a model');
  for (const command of [plan, inspect]) {
    await expect(command.run([path])).rejects.toThrow(new GgufError('not-gguf', path, 'not a GGUF file'));
  }
});
