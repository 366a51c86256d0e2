/** Picks the placement that keeps most of the work on the GPUs. */
import type { Model } from '../gguf/model.ts';
import { planPlacement } from './plan.ts';
import type { Machine, Placement, Plan, Workload } from './types.ts';

/**
 * In this order: everything on the GPUs; all layers there but the experts of as few as needed; no experts there
 * and as many layers as fit. Attention and router come before experts: every token reads them whole, and of
 * the experts a quarter.
 *
 * @returns the first plan that fits, else the one that lacks least
 */
export function planAutomatically(model: Model, machine: Machine, workload: Workload): Plan {
  const layers = model.layers.length;
  if (machine.vram.length === 0) {
    return planPlacement(model, machine, workload, { gpuLayers: 0, cpuExpertLayers: 0 });
  }
  const candidates: Omit<Placement, 'tensorSplit'>[] = [];
  for (let n = 0; n <= layers; n++) candidates.push({ gpuLayers: layers + 1, cpuExpertLayers: n });
  for (let n = layers; n >= 0; n--) candidates.push({ gpuLayers: n, cpuExpertLayers: layers });
  let closest: Plan | undefined;
  for (const candidate of candidates) {
    const plan = planPlacement(model, machine, workload, candidate);
    if (plan.fits) return plan;
    const packed = packLayers(model, machine, workload, candidate);
    if (packed?.fits) return packed;
    if (closest === undefined || overrun(plan) < overrun(closest)) closest = plan;
  }
  return closest as Plan;
}

/** Bytes that lack, over all devices. */
function overrun({ devices }: Plan): number {
  return devices.reduce((sum, { total, capacity = total }) => sum + Math.max(0, total - capacity), 0);
}

/** Fills the GPUs in order, each with as many layers as it holds: what fits in any way of cutting fits so. */
function packLayers(
  model: Model,
  machine: Machine,
  workload: Workload,
  placement: Omit<Placement, 'tensorSplit'>,
): Plan | undefined {
  const gpus = machine.vram.length;
  if (gpus === 1) return undefined;
  let left = placement.gpuLayers;
  const split = new Array<number>(gpus).fill(0);
  for (let gpu = 0; gpu < gpus; gpu++) {
    const fits = (count: number) => {
      const tensorSplit = split.with(gpu, count).with(gpus - 1, gpu === gpus - 1 ? count : left - count);
      const device = planPlacement(model, machine, workload, { ...placement, tensorSplit }).devices[gpu];
      return device !== undefined && device.total <= (machine.vram[gpu] ?? 0);
    };
    let count = left;
    while (count > 0 && !fits(count)) count--;
    split[gpu] = count;
    left -= count;
  }
  if (left > 0) return undefined;
  return planPlacement(model, machine, workload, { ...placement, tensorSplit: split });
}
