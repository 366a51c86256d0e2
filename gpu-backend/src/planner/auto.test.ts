import { expect, test } from 'vitest';
import { adviseOn } from './advice.ts';
import { planAutomatically } from './auto.ts';
import { parseBytes } from './bytes.ts';
import { placeLayers } from './layers.ts';
import { planPlacement } from './plan.ts';
import { requantised, weightsBytes } from './requantised.ts';
import { syntheticModel } from './testing/models.ts';
import type { Machine, Plan, Workload } from './types.ts';

const workload: Workload = { context: 8192, slots: 8, kvType: 'f16', batch: 512 };
const machine = (vram: number[], ram?: number): Machine => ({
  vram: vram.map((gb) => gb * 1e9),
  ...(ram !== undefined && { ram: ram * 1e9 }),
  vramBandwidth: 1008e9,
  ramBandwidth: 89.6e9,
});
const model = await syntheticModel('huozi', 'Q4_K_M');
const auto = (vram: number[], ram?: number, changed: Partial<Workload> = {}) =>
  planAutomatically(model, machine(vram, ram), { ...workload, ...changed });

test('everything goes to the GPU if it fits', () => {
  expect(auto([48]).placement).toEqual({ gpuLayers: 33, cpuExpertLayers: 0 });
  expect(auto([24, 24]).placement).toEqual({ gpuLayers: 33, cpuExpertLayers: 0 });
});

test('else the experts of as few layers as needed go to RAM', () => {
  const plan = auto([24], 64);
  const { cpuExpertLayers } = plan.placement;
  expect(plan.fits).toBe(true);
  expect(plan.placement.gpuLayers).toBe(33);
  expect(cpuExpertLayers).toBeGreaterThan(0);
  const less = { gpuLayers: 33, cpuExpertLayers: cpuExpertLayers - 1 };
  expect(planPlacement(model, machine([24], 64), workload, less).fits).toBe(false);
});

test('else fewer layers go to the GPU, all experts staying in RAM', () => {
  const { fits, placement } = auto([2], 64);
  expect(fits).toBe(true);
  expect(placement.cpuExpertLayers).toBe(32);
  expect(placement.gpuLayers).toBeGreaterThan(0);
  expect(placement.gpuLayers).toBeLessThan(33);
});

test('without a GPU all is in RAM', () => {
  const { fits, placement, devices } = auto([], 64);
  expect({ fits, placement }).toEqual({ fits: true, placement: { gpuLayers: 0, cpuExpertLayers: 0 } });
  expect(devices.map(({ kind }) => kind)).toEqual(['cpu']);
});

test('what is said to fit is within every device, all bytes are somewhere, and more memory is never slower', () => {
  const everything = weightsBytes(model);
  for (const rest of [[], [12]]) {
    let before = 0;
    for (let gb = 1; gb <= 40; gb++) {
      const plan = auto([gb, ...rest]);
      expect(plan.fits).toBe(true);
      for (const { total, capacity = Number.POSITIVE_INFINITY } of plan.devices) {
        expect(total).toBeLessThanOrEqual(capacity);
      }
      expect(plan.devices.reduce((sum, { weights }) => sum + weights, 0)).toBe(everything);
      expect(plan.devices.reduce((sum, { kv }) => sum + kv, 0)).toBe(8192 * 131_072);
      expect(plan.ceiling).toBeGreaterThanOrEqual(before);
      before = plan.ceiling;
    }
  }
});

test('several GPUs are cut where the default proportion would not fit', () => {
  // In proportion, GPU 0 gets 17 layers, the ones whose experts are not there, and GPU 1 overflows.
  const plan = auto([12, 12], 64);
  expect(plan.fits).toBe(true);
  expect(plan.placement.tensorSplit?.reduce((a, b) => a + b)).toBe(33);
  const even = planPlacement(model, machine([12, 12], 64), workload, {
    gpuLayers: 33,
    cpuExpertLayers: plan.placement.cpuExpertLayers,
  });
  expect(even.fits).toBe(false);
});

test('a tensor split in layers gives each GPU exactly so many', () => {
  for (let first = 0; first <= 33; first++) {
    const placement = { gpuLayers: 33, cpuExpertLayers: 0, tensorSplit: [first, 33 - first] };
    const places = placeLayers(32, placement, [1, 1]);
    expect(places.filter(({ attention }) => attention === 0)).toHaveLength(first);
  }
});

test('layers on the GPU are the last ones, and the output is the last of all', () => {
  const places = placeLayers(32, { gpuLayers: 3, cpuExpertLayers: 31 }, [1]);
  expect(places.slice(29)).toEqual([
    { attention: 'cpu', experts: 'cpu' },
    { attention: 0, experts: 'cpu' },
    { attention: 0, experts: 0 },
    { attention: 0, experts: 0 },
  ]);
});

/** Applies what the advice says, and plans again. */
function follow(plan: Plan, text: string): Plan {
  let { model, machine, workload } = plan;
  for (const part of text.split(' and ')) {
    const [, option = '', value = ''] = /^--([\w-]+) (\S+)/.exec(part) ?? [];
    const fileType = /^quantised to (\w+)/.exec(part)?.[1];
    if (fileType) model = requantised(model, fileType as Parameters<typeof requantised>[1]);
    else if (option === 'kv-type') workload = { ...workload, kvType: value as Workload['kvType'] };
    else if (option === 'context') workload = { ...workload, context: Number(value) };
    else if (option === 'slots') workload = { ...workload, slots: Number(value) };
    else if (option === 'ram') machine = { ...machine, ram: parseBytes(value) ?? 0 };
    else if (option === 'vram')
      machine = { ...machine, vram: value.split(',').map((v) => parseBytes(v) ?? 0) };
    else throw new Error(`not understood: ${part}`);
  }
  return planAutomatically(model, machine, workload);
}

test('what would fit does, and nothing less of it would', () => {
  const cases = [
    auto([8], 16),
    auto([16], 14, { context: 32_768 }),
    auto([24], 5, { context: 16_384 }),
    auto([], 32, { context: 32_768 }),
    auto([16], 17, { context: 32_768 }),
    auto([], 20),
    auto([6, 6], 16),
    auto([2], 2),
  ];
  const changes = new Set<string>();
  for (const plan of cases) {
    expect(plan.fits).toBe(false);
    const advice = adviseOn(plan);
    expect(advice.length).toBeGreaterThan(0);
    for (const { change, text } of advice) {
      changes.add(change);
      expect(follow(plan, text).fits, text).toBe(true);
      const less = /^--(ram|context) (\d+)(GB|)$/.exec(text);
      if (!less) continue;
      const step = less[1] === 'ram' ? -1 : 256;
      expect(follow(plan, `--${less[1]} ${Number(less[2]) + step}${less[3]}`).fits, text).toBe(false);
    }
  }
  expect([...changes].sort()).toEqual(
    expect.arrayContaining(['context', 'kv-type', 'quantisation', 'ram', 'vram']),
  );
});

test('where an explicit placement does not fit, one that does is named', () => {
  const plan = planPlacement(model, machine([24], 64), workload, { gpuLayers: 33, cpuExpertLayers: 0 });
  expect(plan.fits).toBe(false);
  const { placement } = auto([24], 64);
  expect(adviseOn(plan)).toEqual([
    { change: 'placement', text: `--gpu-layers 33 --cpu-experts ${placement.cpuExpertLayers}` },
  ]);
});

test('a model requantised is the model that was made so', async () => {
  const made = await syntheticModel('huozi', 'Q3_K_M');
  expect(requantised(model, 'Q3_K_M')).toEqual({ ...made, uri: model.uri });
});

test('sizes as people write them', () => {
  expect(['24GB', '24 gb', '24', '1.5GiB', '512MB', '0GB', 'much', '-1GB', '24XB'].map(parseBytes)).toEqual([
    24e9,
    24e9,
    24e9,
    1.5 * 2 ** 30,
    512e6,
    0,
    undefined,
    undefined,
    undefined,
  ]);
});
