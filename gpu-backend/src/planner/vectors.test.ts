/** Figures that others published or measured, which the planner must come to from the header alone. */
import { expect, test } from 'vitest';
import type { FileType } from '../gguf/quant-mix.ts';
import { driverBytes } from './compute-buffers.ts';
import { planPlacement } from './plan.ts';
import { weightsBytes } from './requantised.ts';
import { syntheticModel } from './testing/models.ts';
import type { Placement, Workload } from './types.ts';

const mebibyte = 2 ** 20;
const gigabyte = 1e9;
const allLayers = 33;
const machine = { vram: [100 * gigabyte], vramBandwidth: 1008 * gigabyte, ramBandwidth: 80 * gigabyte };

async function gpu(
  shape: 'huozi' | 'mixtral',
  fileType: FileType,
  workload: Partial<Workload>,
  placement: Partial<Placement>,
) {
  const model = await syntheticModel(shape, fileType);
  const plan = planPlacement(
    model,
    machine,
    { context: 2048, slots: 1, kvType: 'f16', batch: 512, ...workload },
    { gpuLayers: allLayers, cpuExpertLayers: 0, ...placement },
  );
  const [device] = plan.devices;
  if (!device) throw new Error('no GPU in the plan');
  return device;
}

function within(percent: number, value: number, expected: number): void {
  expect(Math.abs(value / expected - 1) * 100, `${value} for ${expected}`).toBeLessThanOrEqual(percent);
}

// The log is of a llama.cpp that counted layers without the output: its 22 are today's 21 and the output.
test('1: Mixtral, 22 layers on the GPU at q8_0: 32,353.06 MiB of weights', async () => {
  within(
    5,
    (await gpu('mixtral', 'Q8_0', { context: 512 }, { gpuLayers: 22 })).weights,
    32_353.06 * mebibyte,
  );
  // 22 whole layers as the log counts them: today's 23 without the output. Routers were 16-bit floats then.
  const { outputBytes } = await syntheticModel('mixtral', 'Q8_0');
  const { weights } = await gpu('mixtral', 'Q8_0', { context: 512 }, { gpuLayers: 23 });
  within(0.01, weights - outputBytes, 32_353.06 * mebibyte);
});

test('2: KV of 512 tokens at f16: 64 MiB in all, 44 MiB for 22 layers', async () => {
  expect((await gpu('mixtral', 'Q8_0', { context: 512 }, {})).kv).toBe(64 * mebibyte);
  expect((await gpu('mixtral', 'Q8_0', { context: 512 }, { gpuLayers: 23 })).kv).toBe(44 * mebibyte);
  within(5, (await gpu('mixtral', 'Q8_0', { context: 512 }, { gpuLayers: 22 })).kv, 44 * mebibyte);
});

test('KV bytes a token: 131,072 at f16, 69,632 at q8_0, 36,864 at q4_0', async () => {
  for (const [kvType, bytes] of [
    ['f16', 131_072],
    ['q8_0', 69_632],
    ['q4_0', 36_864],
  ] as const) {
    expect((await gpu('huozi', 'Q2_K', { context: 32_768, kvType }, {})).kv).toBe(32_768 * bytes);
  }
});

test('3: Huozi q2_k, 16 layers, context 2048: 9.6 GB of VRAM in all, weights 8.58, KV 0.13', async () => {
  const { weights, kv, total } = await gpu('huozi', 'Q2_K', {}, { gpuLayers: 16 });
  within(5, weights, 8.58 * gigabyte);
  within(5, kv, 0.13 * gigabyte);
  within(5, total, 9.6 * gigabyte);
});

test.each([
  ['BF16', 95],
  ['Q4_0', 28],
  ['Q2_K', 18],
] as const)('4: Huozi whole on a GPU, %s: %d GB', async (fileType, expected) => {
  within(5, (await gpu('huozi', fileType, {}, {})).total, expected * gigabyte);
});

// KTransformers' own buffers are not ours, and its figure is rounded; so this compares what llama.cpp allocates,
// without the CUDA context that 3 and 4 include.
test('5: Mixtral Q4_K_M, all experts in RAM, short context: about 1.6 GB of VRAM', async () => {
  const { total } = await gpu('mixtral', 'Q4_K_M', { context: 512 }, { cpuExpertLayers: 32 });
  within(5, total - driverBytes, 1.6 * gigabyte);
});

test.each([
  ['Q2_K', 17.4],
  ['Q3_K_M', 22.7],
  ['Q4_0', 26.4],
  ['Q4_K_M', 28.6],
  ['Q5_K_M', 33.4],
  ['Q6_K', 38.5],
  ['Q8_0', 49.8],
] as const)('6: Huozi as %s: a file of %d GB', async (fileType, expected) => {
  within(1, weightsBytes(await syntheticModel('huozi', fileType)), expected * gigabyte);
});

test.each([
  ['Q2_K', 4.08],
  ['Q4_0', 6.34],
  ['Q6_K', 9.25],
  ['Q8_0', 11.98],
  ['BF16', 22.55],
] as const)('decode ceiling with every expert in RAM, %s: bandwidth / %d GB', async (fileType, expected) => {
  const plan = planPlacement(
    await syntheticModel('huozi', fileType),
    machine,
    { context: 32_768, slots: 8, kvType: 'f16', batch: 512 },
    { gpuLayers: allLayers, cpuExpertLayers: 32 },
  );
  within(1, plan.devices.at(-1)?.weightsPerToken ?? 0, expected * gigabyte);
  within(5, plan.ceiling, machine.ramBandwidth / (expected * gigabyte));
  expect(plan.ceilingFullContext).toBeLessThan(plan.ceiling);
});
