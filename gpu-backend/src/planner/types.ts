import type { Model } from '../gguf/model.ts';

export const kvTypes = { f16: 2, q8_0: 34 / 32, q4_0: 18 / 32 } as const;
/** Values are bytes per KV value. */
export type KvType = keyof typeof kvTypes;

export interface Machine {
  /** Bytes of each GPU; none is a machine without. */
  vram: readonly number[];
  /** Bytes that the node may use; undefined is as many as it takes. */
  ram?: number;
  /** Bytes/s. */
  vramBandwidth: number;
  ramBandwidth: number;
}

export interface Workload {
  /** KV cells that all slots share, tokens. */
  context: number;
  slots: number;
  kvType: KvType;
  /** Tokens of one decode step. */
  batch: number;
}

/** What the engine is told. */
export interface Placement {
  /** As llama.cpp's `-ngl`: the last N of the layers and the output, which counts as the last layer. */
  gpuLayers: number;
  /** As llama.cpp's `--n-cpu-moe`: the experts of the first N layers stay in RAM. */
  cpuExpertLayers: number;
  /** Layers for each GPU in order, if other than in proportion to their memory. */
  tensorSplit?: readonly number[];
}

export interface PlannedDevice {
  name: string;
  kind: 'gpu' | 'cpu';
  /** Undefined: unknown. */
  capacity: number | undefined;
  weights: number;
  kv: number;
  compute: number;
  total: number;
  /** Bytes that one decoded token reads: weights, and the KV of a full context. */
  weightsPerToken: number;
  kvPerToken: number;
  layers: number;
  layersWithExperts: number;
}

export interface Plan {
  model: Model;
  machine: Machine;
  workload: Workload;
  placement: Placement;
  devices: readonly PlannedDevice[];
  fits: boolean;
  /** One stream's tokens/s at the start of a context, and at its end. */
  ceiling: number;
  ceilingFullContext: number;
}
