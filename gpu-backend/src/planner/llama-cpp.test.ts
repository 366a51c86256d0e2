/** The planner's figures against llama.cpp's own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { readHeader } from '../gguf/header.ts';
import { readModel } from '../gguf/model.ts';
import type { FileType } from '../gguf/quant-mix.ts';
import { huozi, mixtral, type Shape, writeSynthetic } from '../gguf/testing/synthetic.ts';
import { reportNoAlloc } from '../native/testing/reports.ts';
import { driverBytes } from './compute-buffers.ts';
import { planPlacement } from './plan.ts';
import recorded from './testing/llama-no-alloc.json' with { type: 'json' };
import { syntheticModel } from './testing/models.ts';
import type { KvType } from './types.ts';

const folder = mkdtempSync(join(tmpdir(), 'huozi-no-alloc-'));
afterAll(() => rmSync(folder, { recursive: true }));

const kvTypeIds: Record<KvType, number> = { f16: 1, q8_0: 8, q4_0: 2 };
const bandwidths = { vramBandwidth: 1e12, ramBandwidth: 1e11 };
const mebibyte = 2 ** 20;

/** Weights and KV to the alignment of tensors; compute buffers within 5 %, or 2 MiB where that is more. */
function expectDevice(
  ours: { weights: number; kv: number; compute: number },
  theirs: { weights: number; kv: number; compute: number },
  what: string,
): void {
  expect(Math.abs(ours.weights - theirs.weights), `weights, ${what}`).toBeLessThan(0.01 * mebibyte);
  expect(Math.abs(ours.kv - theirs.kv), `KV, ${what}`).toBeLessThan(0.01 * mebibyte);
  const off = Math.abs(ours.compute - theirs.compute);
  expect(off, `compute ${ours.compute} for ${theirs.compute}, ${what}`).toBeLessThanOrEqual(
    Math.max(0.05 * theirs.compute, 2 * mebibyte),
  );
}

// Recorded with testing/no-alloc.cpp, because it takes GPUs.
test.each(recorded)(
  'recorded: $shape $fileType on $vram, $gpuLayers layers, $cpuExpertLayers of experts in RAM, context $context, batch $batch, KV $kvType',
  async ({ shape, fileType, vram, gpuLayers, cpuExpertLayers, devices, ...rest }) => {
    const model = await syntheticModel(shape as 'huozi' | 'mixtral', fileType as FileType);
    const workload = { ...rest, kvType: rest.kvType as KvType };
    const plan = planPlacement(model, { vram, ...bandwidths }, workload, { gpuLayers, cpuExpertLayers });
    expect(plan.devices).toHaveLength(devices.length);
    for (const [i, theirs] of devices.entries()) {
      const ours = plan.devices[i];
      if (!ours) continue;
      const compute = ours.compute - (ours.kind === 'gpu' ? driverBytes : 0);
      expectDevice({ ...ours, compute }, theirs, ours.name);
    }
  },
);

async function expectAgreement(
  path: string,
  workload: { context: number; slots: number; batch: number; kvType: KvType },
) {
  const plan = planPlacement(readModel(await readHeader(path)), { vram: [], ...bandwidths }, workload, {
    gpuLayers: 0,
    cpuExpertLayers: 0,
  });
  const report = await reportNoAlloc(path, {
    contextTokens: workload.context,
    sequences: workload.slots,
    batchTokens: workload.batch,
    kvType: kvTypeIds[workload.kvType],
  });
  const [cpu] = plan.devices;
  if (cpu) expectDevice(cpu, report, JSON.stringify(workload));
}

test('asked now, on the CPU: headers of whole models', async () => {
  for (const fileType of ['BF16', 'Q8_0', 'Q4_K_M', 'Q2_K'] as const) {
    const path = join(folder, `${fileType}.gguf`);
    writeSynthetic(path, { shape: fileType === 'Q8_0' ? mixtral : huozi, fileType });
    await expectAgreement(path, { context: 32_768, slots: 8, batch: 512, kvType: 'f16' });
    rmSync(path);
  }
}, 120_000);

test('asked now, on the CPU: contexts, batches and KV types', async () => {
  const shape: Shape = { ...mixtral, layers: 4, vocabulary: 4000 };
  const path = join(folder, 'four-layers.gguf');
  writeSynthetic(path, { shape, fileType: 'Q4_K_M' });
  for (const context of [300, 4096, 131_072]) {
    for (const batch of [16, 512, 2048]) {
      for (const kvType of ['f16', 'q8_0', 'q4_0'] as const) {
        await expectAgreement(path, { context, slots: 16, batch, kvType });
      }
    }
  }
}, 60_000);

test('asked now, on the CPU: huozi-tiny, a real model', async () => {
  const path = fileURLToPath(new URL('../../models/huozi-tiny/huozi-tiny-q8_0.gguf', import.meta.url));
  await expectAgreement(path, { context: 8192, slots: 8, batch: 512, kvType: 'f16' });
  await expectAgreement(path, { context: 512, slots: 4, batch: 64, kvType: 'q8_0' });
});
