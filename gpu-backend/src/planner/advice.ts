/** What would make a model fit that does not: each suggestion is a plan that was worked out and fits. */
import { type FileType, offeredFileTypes } from '../gguf/quant-mix.ts';
import { planAutomatically } from './auto.ts';
import { readable } from './bytes.ts';
import { requantised, weightsBytes } from './requantised.ts';
import { type KvType, kvTypes, type Plan } from './types.ts';

/** Below this nobody chats. */
const leastContext = 512;

export interface Advice {
  change: 'placement' | 'kv-type' | 'context' | 'slots' | 'quantisation' | 'ram' | 'vram' | 'several';
  text: string;
}

/** @param plan one that does not fit */
export function adviseOn(plan: Plan): Advice[] {
  const { model, workload } = plan;
  const fits = (changed: Partial<Pick<Plan, 'model' | 'machine' | 'workload'>>) => {
    const other = { ...plan, ...changed };
    const found = planAutomatically(other.model, other.machine, other.workload);
    return found.fits ? found : undefined;
  };

  const placed = fits({});
  if (placed)
    return [
      {
        change: 'placement',
        text: `--gpu-layers ${placed.placement.gpuLayers} --cpu-experts ${placed.placement.cpuExpertLayers}`,
      },
    ];

  const advice: Advice[] = [];
  for (const kvType of smallerKvTypes(workload.kvType)) {
    if (!fits({ workload: { ...workload, kvType } })) continue;
    advice.push({ change: 'kv-type', text: `--kv-type ${kvType}` });
    break;
  }
  const context = largest(leastContext / 256, Math.floor((workload.context - 1) / 256), (blocks) =>
    Boolean(fits({ workload: { ...workload, context: blocks * 256 } })),
  );
  if (context) advice.push({ change: 'context', text: `--context ${context * 256}` });
  const slots = largest(1, workload.slots - 1, (n) => Boolean(fits({ workload: { ...workload, slots: n } })));
  if (slots) advice.push({ change: 'slots', text: `--slots ${slots}` });
  const smaller = smallerFileTypes(plan);
  const quantised = smaller.find(({ model: other }) => fits({ model: other }));
  if (quantised) advice.push({ change: 'quantisation', text: quantisedTo(quantised) });
  const ram = leastRam(plan);
  if (ram) advice.push({ change: 'ram', text: `--ram ${ram}GB` });
  const vram = leastVram(plan);
  if (vram) advice.push({ change: 'vram', text: `--vram ${vram.map((gb) => `${gb}GB`).join(',')}` });

  if (advice.every(({ change }) => change === 'ram' || change === 'vram')) {
    const small = { ...workload, kvType: 'q8_0' as const, context: Math.min(workload.context, 4096) };
    const both = [{ model, fileType: undefined }, ...smaller].find((one) =>
      fits({ model: one.model, workload: small }),
    );
    if (both) {
      const parts = [`--kv-type ${small.kvType}`, `--context ${small.context}`];
      if (both.fileType) parts.push(quantisedTo(both));
      advice.push({ change: 'several', text: parts.join(' and ') });
    }
  }
  return advice;
}

function smallerKvTypes(kvType: KvType): KvType[] {
  const bytes = kvTypes[kvType];
  return (Object.keys(kvTypes) as KvType[]).filter((other) => kvTypes[other] < bytes);
}

function smallerFileTypes({ model }: Plan) {
  const now = weightsBytes(model);
  return offeredFileTypes
    .map((fileType) => ({ fileType, model: requantised(model, fileType) }))
    .filter((other) => weightsBytes(other.model) < now);
}

function quantisedTo({ fileType, model }: { fileType?: FileType | undefined; model: Plan['model'] }): string {
  return `quantised to ${fileType} (${readable(weightsBytes(model))})`;
}

/** Whole readable of RAM that suffice with these GPUs. */
function leastRam({ model, machine, workload }: Plan): number | undefined {
  if (machine.ram === undefined) return undefined;
  const free = planAutomatically(model, { ...machine, ram: Number.POSITIVE_INFINITY }, workload);
  return free.fits ? Math.ceil((free.devices.at(-1)?.total ?? 0) / 1e9) : undefined;
}

/** The machine's GPUs, each larger by the same number of whole readable. */
function leastVram({ model, machine, workload }: Plan): number[] | undefined {
  const grown = (gb: number) => machine.vram.map((bytes) => Math.ceil(bytes / 1e9) + gb);
  const needed = smallest(1, 1024, (gb) => {
    const vram = grown(gb).map((size) => size * 1e9);
    return planAutomatically(model, { ...machine, vram }, workload).fits;
  });
  return needed === undefined || machine.vram.length === 0 ? undefined : grown(needed);
}

/** The largest whole number in the range for which `holds`, given that it holds below if it holds above. */
function largest(from: number, to: number, holds: (n: number) => boolean): number | undefined {
  if (to < from || !holds(from)) return undefined;
  let low = from;
  let high = to;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function smallest(from: number, to: number, holds: (n: number) => boolean): number | undefined {
  const below = largest(from, to, (n) => !holds(n));
  if (below === undefined) return from;
  return below === to ? undefined : below + 1;
}
