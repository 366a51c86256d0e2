/**
 * How vLLM lays a mixture of experts over GPUs, and what that leaves for the KV cache. Rules read in vLLM 0.32.0:
 *
 * - The vocabulary is padded to a multiple of 64, and its rows are shared among the tensor-parallel ranks.
 * - Heads must divide by `tp`; KV heads are shared, or repeated where there are more ranks than heads.
 * - Experts are shared among all ranks of tensor and data parallel: each matrix cut in slices, or whole experts each
 *   with expert parallel. Attention is repeated in every data-parallel rank.
 * - Pipeline stages get equal numbers of layers, those left over go to stages before the last; the first holds the
 *   embedding, the last the output.
 *
 * Weights and KV are exact. What else a GPU holds is an estimate (`overheadBytes`): nobody has measured it here.
 */
import type { Shape } from './shape.ts';

/** Bytes of a linear layer's weight; embedding, output, router and norms stay in 16 bits. */
export const precisions = {
  bf16: { linear: 2, flags: [] as string[] },
  fp8: { linear: 1, flags: ['--quantization', 'fp8'] },
  /** Four bits, and a scale and a zero of every 128. */
  awq: { linear: (4 + 20 / 128) / 8, flags: ['--quantization', 'awq_marlin'] },
} as const;
type Precision = keyof typeof precisions;

export const kvPrecisions = { auto: 2, fp8: 1 } as const;
type KvPrecision = keyof typeof kvPrecisions;

export interface Cluster {
  nodes: number;
  gpusPerNode: number;
  /** Bytes of one GPU. */
  memory: number;
  /** vLLM's `--gpu-memory-utilization`. */
  utilization: number;
}

export interface Demand {
  /** Longest prompt + answer, vLLM's `--max-model-len`. */
  context: number;
  /** Sequences at the same time, its `--max-num-seqs`. */
  slots: number;
  precision: Precision;
  kv: KvPrecision;
}

export interface Split {
  tensor: number;
  pipeline: number;
  data: number;
  /** Whole experts on each GPU instead of slices. */
  expert: boolean;
}

export interface PlannedSplit extends Split {
  /** Of the GPU that holds most, bytes. */
  weights: number;
  overhead: number;
  /** What is left for KV there. */
  kv: number;
  /** Tokens that one replica's KV cache holds. */
  kvTokens: number;
  /** Rows of the embedding on one GPU. */
  vocabularyRows: number;
  fits: boolean;
  /** Why vLLM would not start so, or where it is unwise. */
  problem?: string;
}

/** vLLM's DEFAULT_VOCAB_PADDING_SIZE. */
const vocabularyPadding = 64;
/** CUDA's context, NCCL's buffers, captured graphs: as vLLM's users report them, 1 to 3 GB. */
const fixedOverhead = 2.5e9;
/** vLLM's `--max-num-batched-tokens` on a server. */
const batchedTokens = 8192;

export const paddedVocabulary = (rows: number) => Math.ceil(rows / vocabularyPadding) * vocabularyPadding;

/** All splits that use every GPU of the cluster, best first. */
export function planSplits(shape: Shape, cluster: Cluster, demand: Demand): PlannedSplit[] {
  const gpus = cluster.nodes * cluster.gpusPerNode;
  const splits: PlannedSplit[] = [];
  for (const tensor of divisors(gpus)) {
    for (const pipeline of divisors(gpus / tensor)) {
      const data = gpus / tensor / pipeline;
      for (const expert of tensor * data > 1 ? [false, true] : [false]) {
        splits.push(planSplit(shape, cluster, demand, { tensor, pipeline, data, expert }));
      }
    }
  }
  return splits.sort((a, b) => compare(preference(a, cluster), preference(b, cluster)));
}

function planSplit(shape: Shape, cluster: Cluster, demand: Demand, split: Split): PlannedSplit {
  const { tensor, pipeline, data } = split;
  const { hidden, headDim, heads, kvHeads, feedForward, experts, layers } = shape;
  const { linear } = precisions[demand.precision];
  const stage = Math.ceil(layers / pipeline);
  const kvHeadsHere = Math.max(1, Math.ceil(kvHeads / tensor));

  const attention = (2 * hidden * heads * headDim) / tensor + 2 * hidden * kvHeadsHere * headDim;
  const expertWeights = (3 * hidden * feedForward * experts) / (tensor * data);
  const sixteen = experts * hidden + 2 * hidden;
  const perLayer = linear * (attention + expertWeights) + 2 * sixteen;
  const vocabularyRows = paddedVocabulary(shape.vocabulary) / tensor;
  // One stage has both where there is one stage; else the fullest has one of them.
  const ends = 2 * vocabularyRows * hidden * (pipeline === 1 ? 2 : 1);
  const weights = stage * perLayer + ends;

  const overhead = overheadBytes(shape, demand, split, vocabularyRows);
  const kv = Math.max(0, cluster.memory * cluster.utilization - weights - overhead);
  const kvPerToken = 2 * stage * kvHeadsHere * headDim * kvPrecisions[demand.kv];
  const kvTokens = Math.floor(kv / kvPerToken);
  const problem = problemOf(shape, cluster, demand, split);
  return {
    ...split,
    ...{ weights, overhead, kv, kvTokens, vocabularyRows },
    fits: problem === undefined && kvTokens >= demand.context,
    ...(problem !== undefined && { problem }),
  };
}

/** The widest moment of a step: states, both halves of the experts' middle, and the logits as 32-bit floats. */
function overheadBytes(
  shape: Shape,
  { slots }: Demand,
  { tensor, data, expert }: Split,
  rows: number,
): number {
  const { hidden, feedForward, expertsUsed } = shape;
  const middle = (2 * feedForward * expertsUsed) / (expert ? 1 : tensor * data);
  const step = 2 * batchedTokens * (4 * hidden + middle);
  const logits = 4 * slots * rows * tensor * 2;
  return fixedOverhead + step + logits;
}

function problemOf(
  shape: Shape,
  cluster: Cluster,
  { precision }: Demand,
  { tensor, pipeline, data, expert }: Split,
): string | undefined {
  const { heads, kvHeads, feedForward, experts, layers } = shape;
  const ranks = tensor * data;
  if (heads % tensor !== 0) return `${heads} heads do not divide by ${tensor}`;
  if (kvHeads % tensor !== 0 && tensor % kvHeads !== 0)
    return `${kvHeads} KV heads do not divide by ${tensor}`;
  if (pipeline > layers) return `${layers} layers are fewer than ${pipeline} stages`;
  if (paddedVocabulary(shape.vocabulary) % tensor !== 0) {
    return `${paddedVocabulary(shape.vocabulary)} padded rows do not divide by ${tensor}`;
  }
  if (expert && experts % ranks !== 0) return `${experts} experts do not divide by ${ranks}`;
  if (!expert && feedForward % ranks !== 0)
    return `experts of width ${feedForward} do not divide by ${ranks}`;
  if (!expert && precision === 'awq' && (feedForward / ranks) % 128 !== 0) {
    return `slices of ${feedForward / ranks} cut through AWQ's groups of 128`;
  }
  if (tensor > cluster.gpusPerNode) return `tensor parallel over nodes: its traffic wants NVLink`;
  return undefined;
}

/**
 * Those that fit; a pipeline stage a node and no more, without repeated attention, with experts in even slices. The
 * smaller number comes first.
 */
function preference({ fits, problem, pipeline, data, expert }: PlannedSplit, { nodes }: Cluster): number[] {
  return [fits ? 0 : problem === undefined ? 1 : 2, Math.abs(pipeline - nodes), data, expert ? 1 : 0];
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((i) => n % i === 0);
}

export interface VllmAdvice {
  change: 'precision' | 'kv' | 'context' | 'gpus';
  text: string;
}

/** What would make it fit, each worked out. */
export function adviseOnSplits(shape: Shape, cluster: Cluster, demand: Demand): VllmAdvice[] {
  const fits = (other: Partial<Cluster>, wish: Partial<Demand> = {}) =>
    planSplits(shape, { ...cluster, ...other }, { ...demand, ...wish }).find((split) => split.fits);
  const advice: VllmAdvice[] = [];
  const smaller = (Object.keys(precisions) as Precision[]).filter(
    (one) => precisions[one].linear < precisions[demand.precision].linear,
  );
  const precision = smaller.find((one) => fits({}, { precision: one }));
  if (precision) advice.push({ change: 'precision', text: `--quantization ${precision}` });
  if (demand.kv === 'auto' && fits({}, { kv: 'fp8' })) advice.push({ change: 'kv', text: '--kv-type fp8' });
  const shorter = [16_384, 8192, 4096, 2048].find(
    (context) => context < demand.context && fits({}, { context }),
  );
  if (shorter) advice.push({ change: 'context', text: `--context ${shorter}` });
  for (const [nodes, gpusPerNode] of [1, 2, 4].flatMap((n) => [1, 2, 4, 8].map((g) => [n, g] as const))) {
    if (nodes * gpusPerNode <= cluster.nodes * cluster.gpusPerNode || (nodes > 1 && gpusPerNode < 8))
      continue;
    if (!fits({ nodes, gpusPerNode })) continue;
    const size = `${gpusPerNode}x${Math.round(cluster.memory / 1e9)}GB`;
    advice.push({ change: 'gpus', text: `--gpus ${size}${nodes > 1 ? ` --nodes ${nodes}` : ''}` });
    break;
  }
  return advice;
}
