/**
 * Where weights and KV go. What an operator names is taken as it is, after a check against the devices that are
 * there; what he leaves open on a machine with a GPU is the planner's to say.
 */
import { totalmem } from 'node:os';
import type { Model } from '../gguf/model.ts';
import { type Device, gpusOf } from '../native/devices.ts';
import type { ContextPlacement, ModelPlacement } from '../native/placement.ts';
import { adviseOn } from '../planner/advice.ts';
import { planAutomatically } from '../planner/auto.ts';
import { defaultBandwidths, ramBandwidths, vramBandwidths } from '../planner/bandwidth.ts';
import { readable } from '../planner/bytes.ts';
import { kvTypes, type Machine, type Plan } from '../planner/types.ts';
import { PlacementError } from './errors.ts';

export interface PlacementOptions extends Omit<ModelPlacement, 'gpuLayers'>, ContextPlacement {
  /**
   * The last N of the layers and the output; 0 without a GPU. Default: with `cpuExpertLayers` all; without, the
   * planner says both for the GPUs found.
   */
  gpuLayers?: number;
}

export interface Work {
  contextTokens: number;
  slots: number;
  batchTokens: number;
}

/** @throws PlacementError */
export function choosePlacement(
  model: Model,
  options: PlacementOptions,
  work: Work,
  devices: readonly Device[],
): ModelPlacement {
  const asked = withinModel(options, model.layers.length);
  const gpus = gpusOf(devices);
  checkPlacement(options, gpus);
  if (gpus.length === 0) return { ...asked, gpuLayers: 0 };
  if (asked.gpuLayers !== undefined) return { ...asked, gpuLayers: asked.gpuLayers };
  if (asked.cpuExpertLayers !== undefined || (asked.splitMode ?? 'layer') !== 'layer') {
    return { ...asked, gpuLayers: model.layers.length + 1 };
  }
  const plan = planFor(model, options, work, gpus);
  if (!plan.fits) throw new PlacementError(doesNotFit(plan, gpus));
  const { gpuLayers, cpuExpertLayers, tensorSplit } = plan.placement;
  return { ...asked, gpuLayers, cpuExpertLayers, ...(tensorSplit && !asked.tensorSplit && { tensorSplit }) };
}

/** The fields that concern the model's load, "all" made a number of layers that it has. */
function withinModel(options: PlacementOptions, layers: number) {
  const { mainGpu, tensorSplit, splitMode, mmap, mlock, gpuLayers, cpuExpertLayers } = options;
  return {
    ...(gpuLayers !== undefined && { gpuLayers: Math.min(gpuLayers, layers + 1) }),
    ...(cpuExpertLayers !== undefined && { cpuExpertLayers: Math.min(cpuExpertLayers, layers) }),
    ...(mainGpu !== undefined && { mainGpu }),
    ...(tensorSplit !== undefined && { tensorSplit }),
    ...(splitMode !== undefined && { splitMode }),
    ...(mmap !== undefined && { mmap }),
    ...(mlock !== undefined && { mlock }),
  };
}

function checkPlacement(options: PlacementOptions, gpus: readonly Device[]): void {
  const { gpuLayers = 0, mainGpu = 0, tensorSplit, flashAttention, kvTypes: types } = options;
  if (flashAttention === 'off' && types && types.values !== 'f16') {
    throw new PlacementError(`values of KV type ${types.values} need flash attention, which is off`);
  }
  if (gpus.length === 0 && (gpuLayers > 0 || tensorSplit || options.mainGpu !== undefined)) {
    throw new PlacementError(
      'no GPU was found: install the package of its libraries, or ask for 0 GPU layers',
    );
  }
  if (mainGpu > 0 && mainGpu >= gpus.length) {
    throw new PlacementError(`there is no GPU ${mainGpu}: found ${gpus.map(({ name }) => name).join(', ')}`);
  }
  if (tensorSplit && tensorSplit.length > gpus.length) {
    throw new PlacementError(
      `the tensor split names ${tensorSplit.length} GPUs, and ${gpus.length} were found`,
    );
  }
}

function planFor(model: Model, options: PlacementOptions, work: Work, gpus: readonly Device[]): Plan {
  const { keys, values } = options.kvTypes ?? { keys: 'f16', values: 'f16' };
  const machine: Machine = {
    vram: gpus.map(({ free }) => free),
    ram: totalmem(),
    // Only the ceiling depends on these, and nobody is told it here.
    vramBandwidth: vramBandwidths[defaultBandwidths.vram] ?? 1,
    ramBandwidth: ramBandwidths[defaultBandwidths.ram] ?? 1,
  };
  return planAutomatically(model, machine, {
    context: work.contextTokens,
    slots: work.slots,
    batch: work.batchTokens,
    // The planner knows one type for both.
    kvType: kvTypes[keys] >= kvTypes[values] ? keys : values,
  });
}

function doesNotFit(plan: Plan, gpus: readonly Device[]): string {
  const found = gpus.map(({ name, free }) => `${name} with ${readable(free)} free`).join(', ');
  const advice = adviseOn(plan).map(({ text }) => text);
  const wouldFit = advice.length > 0 ? `; would fit: ${advice.join(', or ')}` : '';
  return `the model does not fit (${found}, ${readable(plan.machine.ram ?? 0)} RAM)${wouldFit}`;
}
