/** Which device holds what of each layer, as llama.cpp's `load_tensors` decides it. */
import type { Placement } from './types.ts';

/** A GPU by its index, or RAM. */
export type Place = number | 'cpu';

export interface LayerPlace {
  /** Also norms, router and the layer's KV. */
  attention: Place;
  experts: Place;
}

/**
 * @param layers without the output
 * @param vram bytes of each GPU: layers are spread in proportion unless the placement says how
 * @returns one place a layer and, last, the output's
 */
export function placeLayers(layers: number, placement: Placement, vram: readonly number[]): LayerPlace[] {
  const count = layers + 1;
  const onGpu = vram.length === 0 ? 0 : Math.min(placement.gpuLayers, count);
  const first = count - onGpu;
  const splits = cumulative(placement.tensorSplit ?? vram);
  return Array.from({ length: count }, (_, i) => {
    const attention = i < first ? 'cpu' : gpuOf(i - first, onGpu, splits);
    return { attention, experts: i < placement.cpuExpertLayers ? 'cpu' : attention };
  });
}

/** llama.cpp's `std::upper_bound` over split points, in the same 32-bit floats. */
function gpuOf(index: number, count: number, splits: readonly number[]): number {
  const position = Math.fround(Math.fround(index) / Math.fround(count));
  const found = splits.findIndex((split) => split > position);
  return found === -1 ? splits.length - 1 : found;
}

function cumulative(parts: readonly number[]): number[] {
  let sum = 0;
  const sums = parts.map((part) => {
    sum = Math.fround(sum + Math.fround(part));
    return sum;
  });
  return sums.map((value) => Math.fround(value / sum));
}
