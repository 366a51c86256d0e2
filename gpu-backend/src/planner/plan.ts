/** A placement worked out: bytes on each device, whether they fit, and how fast memory lets it decode. */
import { expertBytes, type Model } from '../gguf/model.ts';
import { computeBuffers, driverBytes, layerKvBytes } from './compute-buffers.ts';
import { type Place, placeLayers } from './layers.ts';
import type { Machine, Placement, Plan, PlannedDevice, Workload } from './types.ts';

export function planPlacement(
  model: Model,
  machine: Machine,
  workload: Workload,
  placement: Placement,
): Plan {
  const { vram, ram } = machine;
  const places = placeLayers(model.layers.length, placement, vram);
  const compute = computeBuffers(model, workload, places, vram.length);
  const layerKv = layerKvBytes(model, workload);
  const activeShare = model.expertsUsed / model.experts;

  const empty = { weights: 0, kv: 0, weightsPerToken: 0, kvPerToken: 0, layers: 0, layersWithExperts: 0 };
  const gpus = vram.map((capacity, i) => ({ name: `gpu${i}`, kind: 'gpu' as const, capacity, ...empty }));
  const cpu = { name: 'cpu', kind: 'cpu' as const, capacity: ram, ...empty };
  const at = (place: Place) => (place === 'cpu' ? cpu : (gpus[place] ?? cpu));
  const put = (place: Place, bytes: number, readShare: number) => {
    at(place).weights += bytes;
    at(place).weightsPerToken += bytes * readShare;
  };

  put('cpu', model.tokenEmbeddingBytes, 1 / model.vocabulary);
  for (const [i, place] of places.entries()) {
    const layer = model.layers[i];
    if (!layer) {
      put(place.attention, model.outputBytes, 1);
      continue;
    }
    put(place.attention, layer.attention, 1);
    put(place.experts, expertBytes(layer), activeShare);
    at(place.attention).kv += layerKv;
    at(place.attention).kvPerToken += layerKv;
    at(place.attention).layers++;
    at(place.experts).layersWithExperts++;
  }

  const devices: PlannedDevice[] = [
    ...gpus.map((gpu, i) => withTotal(gpu, (compute.gpus[i] ?? 0) + driverBytes)),
    withTotal(cpu, compute.cpu),
  ];
  return {
    model,
    machine,
    workload,
    placement,
    devices,
    fits: devices.every(({ capacity, total }) => capacity === undefined || total <= capacity),
    ceiling: 1 / secondsPerToken(devices, machine, 0),
    ceilingFullContext: 1 / secondsPerToken(devices, machine, 1),
  };
}

function withTotal(device: Omit<PlannedDevice, 'compute' | 'total'>, compute: number): PlannedDevice {
  return { ...device, compute, total: device.weights + device.kv + compute };
}

/** Devices work one after the other on a stream's token, so their times add up. */
function secondsPerToken(devices: readonly PlannedDevice[], machine: Machine, contextShare: number): number {
  let seconds = 0;
  for (const { kind, weightsPerToken, kvPerToken } of devices) {
    const bandwidth = kind === 'gpu' ? machine.vramBandwidth : machine.ramBandwidth;
    seconds += (weightsPerToken + contextShare * kvPerToken) / bandwidth;
  }
  return seconds;
}
