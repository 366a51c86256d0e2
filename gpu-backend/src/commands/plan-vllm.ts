import { parseBytes } from '../planner/bytes.ts';
import { vllmPlanAsJson, vllmPlanAsText } from '../planner/vllm/report.ts';
import { readShape } from '../planner/vllm/shape.ts';
import {
  adviseOnSplits,
  type Cluster,
  type Demand,
  kvPrecisions,
  planSplits,
  precisions,
} from '../planner/vllm/split.ts';
import { UsageError, wholeNumber } from './command.ts';

export const vllmPlanFlags = {
  engine: { type: 'string', default: 'llama.cpp' },
  gpus: { type: 'string' },
  nodes: { type: 'string' },
  quantization: { type: 'string' },
  'gpu-memory-utilization': { type: 'string' },
} as const;

export const vllmPlanHelp = `With --engine vllm: which tensor, pipeline, data and expert parallel fits, for
MODEL a Hugging Face folder or its config.json, a GGUF, or the word huozi:

  --gpus NxSIZE          GPUs of each node, such as 8x80GB
  --nodes N              nodes of the same kind (default 1)
  --quantization Q       ${Object.keys(precisions).join(', ')} (default bf16)
  --kv-type TYPE         ${Object.keys(kvPrecisions).join(', ')} (default auto: 16 bits)
  --gpu-memory-utilization F   vLLM's (default 0.92)
  --context N, --slots N vLLM's --max-model-len and --max-num-seqs (default 32768, 256)
`;

interface Values {
  gpus?: string | undefined;
  nodes?: string | undefined;
  quantization?: string | undefined;
  'gpu-memory-utilization'?: string | undefined;
  'kv-type'?: string | undefined;
  context?: string | undefined;
  slots?: string | undefined;
  json?: boolean | undefined;
}

/** @returns the report, and whether anything fits */
export async function planForVllm(model: string, values: Values): Promise<{ text: string; fits: boolean }> {
  const cluster = clusterOf(values);
  const shape = await readShape(model);
  const demand: Demand = {
    context: wholeNumber(
      'context',
      values.context ?? String(Math.min(32_768, shape.trainedContext)),
      1,
      2 ** 24,
    ),
    slots: wholeNumber('slots', values.slots ?? '256', 1, 65_536),
    precision: oneOf('quantization', values.quantization ?? 'bf16', precisions),
    kv: oneOf('kv-type', values['kv-type'] ?? 'auto', kvPrecisions),
  };
  const splits = planSplits(shape, cluster, demand);
  const fits = splits.some((split) => split.fits);
  const planned = { model, shape, cluster, demand, splits };
  const whole = { ...planned, advice: fits ? [] : adviseOnSplits(shape, cluster, demand) };
  const text = values.json ? `${JSON.stringify(vllmPlanAsJson(whole), null, 2)}\n` : vllmPlanAsText(whole);
  return { text, fits };
}

function clusterOf(values: Values): Cluster {
  const [, count = '', size = ''] = /^(\d{1,3})x(.+)$/.exec(values.gpus ?? '') ?? [];
  const memory = parseBytes(size);
  if (!memory || Number(count) < 1 || Number(count) > 64) {
    throw new UsageError(
      `--gpus takes a number of GPUs and their size, such as 8x80GB, not "${values.gpus ?? ''}"`,
    );
  }
  const utilization = Number(values['gpu-memory-utilization'] ?? 0.92);
  if (!(utilization > 0 && utilization <= 1)) {
    throw new UsageError('--gpu-memory-utilization takes a share above 0, at most 1');
  }
  const nodes = wholeNumber('nodes', values.nodes ?? '1', 1, 16);
  return { nodes, gpusPerNode: Number(count), memory, utilization };
}

function oneOf<T extends object>(option: string, text: string, known: T): keyof T {
  if (Object.hasOwn(known, text)) return text as keyof T;
  throw new UsageError(`--${option} takes ${Object.keys(known).join(', ')}, not "${text}"`);
}
