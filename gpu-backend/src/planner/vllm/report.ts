/** A plan for vLLM as people and programs read it. */
import { readable } from '../bytes.ts';
import { table } from '../report.ts';
import type { Shape } from './shape.ts';
import {
  type Cluster,
  type Demand,
  type PlannedSplit,
  paddedVocabulary,
  precisions,
  type Split,
  type VllmAdvice,
} from './split.ts';

export interface VllmPlan {
  model: string;
  shape: Shape;
  cluster: Cluster;
  demand: Demand;
  splits: readonly PlannedSplit[];
  advice: readonly VllmAdvice[];
}

export function vllmPlanAsJson({ model, shape, cluster, demand, splits, advice }: VllmPlan) {
  const chosen = splits.find(({ fits }) => fits);
  const split = (one: PlannedSplit) => ({
    tensor_parallel_size: one.tensor,
    pipeline_parallel_size: one.pipeline,
    data_parallel_size: one.data,
    enable_expert_parallel: one.expert,
    fits: one.fits,
    ...(one.problem !== undefined && { problem: one.problem }),
    weights_bytes: Math.round(one.weights),
    overhead_bytes_estimated: Math.round(one.overhead),
    kv_bytes: Math.round(one.kv),
    kv_tokens: one.kvTokens,
    vocabulary_rows: one.vocabularyRows,
  });
  return {
    model,
    engine: 'vllm',
    gpus: cluster.nodes * cluster.gpusPerNode,
    nodes: cluster.nodes,
    gpu_memory_bytes: cluster.memory,
    gpu_memory_utilization: cluster.utilization,
    quantization: demand.precision,
    kv_type: demand.kv,
    context: demand.context,
    slots: demand.slots,
    vocabulary: shape.vocabulary,
    vocabulary_padded: paddedVocabulary(shape.vocabulary),
    fits: chosen !== undefined,
    ...(chosen && { serve_args: serveArgs(model, cluster, demand, chosen) }),
    splits: splits.map(split),
    ...(advice.length > 0 && { would_fit: advice }),
  };
}

export function vllmPlanAsText({ model, shape, cluster, demand, splits, advice }: VllmPlan): string {
  const gpus = cluster.nodes * cluster.gpusPerNode;
  const chosen = splits.find(({ fits }) => fits);
  const padded = paddedVocabulary(shape.vocabulary);
  const possible = splits.filter(({ problem }) => problem === undefined);
  const lines = [
    `${shape.name}: ${shape.layers} layers, ${shape.experts} experts (${shape.expertsUsed} used), ${demand.precision}, ` +
      `KV ${demand.kv}, ${gpus} x ${readable(cluster.memory)}${cluster.nodes > 1 ? ` on ${cluster.nodes} nodes` : ''}`,
    `vocabulary ${shape.vocabulary} rows, padded to ${padded}`,
    '',
    table([
      [
        'tp',
        'pp',
        'dp',
        'experts',
        'rows',
        'weights',
        'overhead',
        'KV',
        'KV tokens',
        `x ${demand.context}`,
        '',
      ],
      ...possible.map((one) => row(one, demand)),
    ]),
    '',
    'per GPU, the fullest; weights and KV are exact, overhead (CUDA, NCCL, graphs, one step) is an estimate;',
    `vLLM takes ${Math.round(100 * cluster.utilization)} % of a GPU. KV tokens are one data-parallel replica's.`,
  ];
  for (const { problem, ...one } of splits) {
    if (problem !== undefined) lines.push(`not ${named(one)}: ${problem}`);
  }
  if (chosen) {
    lines.push(`serve so: huozi-gpu-backend serve ${serveArgs(model, cluster, demand, chosen).join(' ')}`);
  } else {
    lines.push('', `does not fit: no split has KV for one sequence of ${demand.context} tokens`);
    if (advice.length > 0) lines.push('would fit:', ...advice.map(({ text }) => `  ${text}`));
  }
  return `${lines.join('\n')}\n`;
}

function row(one: PlannedSplit, { context }: Demand): string[] {
  return [
    ...[one.tensor, one.pipeline, one.data].map(String),
    one.expert ? 'whole' : 'sliced',
    String(one.vocabularyRows),
    ...[one.weights, one.overhead, one.kv].map(readable),
    String(one.kvTokens),
    (one.kvTokens / context).toFixed(1),
    one.fits ? 'fits' : '',
  ];
}

const named = ({ tensor, pipeline, data, expert }: Split) =>
  `tp ${tensor} pp ${pipeline} dp ${data}${expert ? ' with whole experts' : ''}`;

function serveArgs(model: string, cluster: Cluster, demand: Demand, split: Split): string[] {
  const extra = [
    ...precisions[demand.precision].flags,
    ...(demand.kv === 'auto' ? [] : ['--kv-cache-dtype', demand.kv]),
    ...(cluster.utilization === 0.92 ? [] : ['--gpu-memory-utilization', String(cluster.utilization)]),
    ...(cluster.nodes > 1 ? ['--nnodes', String(cluster.nodes), '--master-addr', 'HEAD'] : []),
  ];
  const sizes = [
    ['tensor', split.tensor],
    ['pipeline', split.pipeline],
    ['data', split.data],
  ] as const;
  return [
    ...['--engine', 'vllm', '--model', model === 'huozi' ? 'DIR' : model],
    ...sizes.flatMap(([kind, size]) => (size === 1 ? [] : [`--${kind}-parallel-size`, String(size)])),
    ...(split.expert ? ['--enable-expert-parallel'] : []),
    ...['--context', String(demand.context), '--slots', String(demand.slots)],
    ...(extra.length > 0 ? ['--', ...extra] : []),
  ];
}
