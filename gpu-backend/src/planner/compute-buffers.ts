/**
 * Compute buffers: what llama.cpp reserves for the largest graph it may have to run.
 *
 * The scheduler lays the graph of one micro-batch of T tokens over the devices and keeps, on each, the memory
 * of the moment that needs most. The moments that can win, with D = T × embedding and A = T × experts used ×
 * feed-forward as 32-bit floats, and M = the attention mask, context × T as 16-bit floats:
 *
 * - experts on the device: gate, up and their product, beside three states: 3A + 3D + M
 * - experts in RAM, T ≥ 32: llama.cpp copies each matrix (all experts of one layer) to the first GPU for the
 *   time of its multiplication: gate + 2A, up + A, or down + A + D × experts used, beside the same 3D + M
 * - attention: 5D + M, and with a quantised cache one layer's K and V again as 16-bit floats
 * - the logits: rows wanted × (vocabulary + embedding)
 *
 * Several GPUs with everything on them run as a pipeline: inputs are kept four times over.
 *
 * Found by reading ggml-backend.cpp and llama-context.cpp (`graph_reserve`), and checked against llama.cpp's
 * own `no_alloc` figures, those in `testing/llama-no-alloc.json` among them: within 4 %.
 */
import type { Model } from '../gguf/model.ts';
import type { LayerPlace } from './layers.ts';
import { kvTypes, type Workload } from './types.ts';

/** llama.cpp's `n_ubatch` as the engine sets it. */
const microBatch = 512;
/** GPU backends take over a multiplication whose weights lie in RAM from this many tokens on. */
const offloadTokens = 32;
/** GGML_SCHED_MAX_COPIES. */
const pipelineCopies = 4;

/**
 * What CUDA itself takes on each GPU that is used: its context, kernels, cuBLAS handles and their pools. It is
 * in no buffer that llama.cpp reports. 0.3 to 0.6 GB depending on driver and card.
 */
export const driverBytes = 450 * 2 ** 20;

export interface ComputeBuffers {
  /** Bytes for each GPU, without `driverBytes`. */
  gpus: number[];
  cpu: number;
}

/** @param places where each layer lies; the output last */
export function computeBuffers(
  model: Model,
  workload: Workload,
  places: readonly LayerPlace[],
  gpuCount: number,
): ComputeBuffers {
  const context = paddedContext(workload.context);
  const tokens = Math.min(workload.context, workload.batch, microBatch);
  const state = 4 * tokens * model.embedding;
  const expert = 4 * tokens * model.expertsUsed * model.feedForward;
  const mask = 2 * tokens * context;
  const logits = 4 * Math.min(tokens, workload.slots) * (model.vocabulary + model.embedding);
  const onDevice = 3 * expert + 3 * state + mask;

  if (gpuCount === 0) return { gpus: [], cpu: Math.max(3 * expert + 4 * state + mask, 2 * state + logits) };

  const layers = places.slice(0, -1);
  const inRam = layers.flatMap((place, i) => (place.experts === 'cpu' ? [i] : []));
  const pipeline = gpuCount > 1 && places.every(({ attention }) => attention !== 'cpu') && inRam.length === 0;
  const offloads = inRam.length > 0 && tokens >= offloadTokens;
  const scratch = attentionScratch(model, workload, context);

  const gpus = Array.from({ length: gpuCount }, (_, gpu) => {
    const hasExperts = layers.some(({ experts }) => experts === gpu);
    // The embedding enters on the first GPU; in a pipeline every one keeps its input.
    const input = gpu === 0 || pipeline ? 0 : state;
    let most = Math.max(5 * state + mask + scratch, hasExperts ? onDevice - input : 0);
    if (places.at(-1)?.attention === gpu) most = Math.max(most, logits + state + mask);
    // Only the first GPU takes work whose weights lie in RAM.
    if (gpu === 0 && offloads)
      most = Math.max(most, offloaded(model, inRam, state, expert) + 3 * state + mask);
    // Where it works on layers whose cache is elsewhere, one layer's cache comes along, part of it in gaps.
    const foreign = gpu === 0 && offloads && inRam.some((i) => layers[i]?.attention !== 0);
    if (foreign) most += Math.max(layerKvBytes(model, workload) - 2 * state, state);
    if (pipeline) most += (pipelineCopies - 1) * mask + pipelineCopies * state * (gpu === 0 ? 1 : 2);
    return most;
  });
  const copies = pipeline ? pipelineCopies : 1;
  const cpuExperts = inRam.length > 0 && !offloads ? 3 * expert : 0;
  return { gpus, cpu: cpuExperts + 2 * state + copies * mask };
}

function offloaded(model: Model, layers: readonly number[], state: number, expert: number): number {
  let most = 0;
  for (const i of layers) {
    const { gate, up, down } = model.layers[i]?.experts ?? { gate: 0, up: 0, down: 0 };
    most = Math.max(most, gate + 2 * expert, up + expert, down + expert + state * model.expertsUsed);
  }
  return most;
}

function attentionScratch(model: Model, { kvType }: Workload, context: number): number {
  return kvType === 'f16' ? 0 : 2 * context * model.kvHeads * (model.keyLength + model.valueLength);
}

/** llama.cpp rounds up to whole blocks of 256. */
const paddedContext = (context: number) => Math.ceil(context / 256) * 256;

/** K and V of one layer, bytes. */
export function layerKvBytes(model: Model, { context, kvType }: Workload): number {
  return paddedContext(context) * model.kvHeads * (model.keyLength + model.valueLength) * kvTypes[kvType];
}
