/** A plan as people and programs read it. */
import { isRemote } from '../gguf/source.ts';
import type { Advice } from './advice.ts';
import { readable } from './bytes.ts';
import { driverBytes } from './compute-buffers.ts';
import type { Plan, PlannedDevice } from './types.ts';

export function planAsJson(plan: Plan, advice: readonly Advice[]) {
  const { model, machine, workload, placement, devices } = plan;
  return {
    model: model.uri,
    context: workload.context,
    slots: workload.slots,
    kv_type: workload.kvType,
    batch: workload.batch,
    fits: plan.fits,
    devices: devices.map(({ name, kind, weights, kv, compute, total }) => ({
      name,
      kind,
      weights_bytes: weights,
      kv_bytes: kv,
      compute_bytes: compute,
      total_bytes: total,
    })),
    gpu_layers: placement.gpuLayers,
    cpu_expert_layers: placement.cpuExpertLayers,
    ...(placement.tensorSplit && { tensor_split: placement.tensorSplit }),
    serve_args: serveArgs(plan),
    tokens_per_second_ceiling: plan.ceiling,
    tokens_per_second_ceiling_full_context: plan.ceilingFullContext,
    bytes_per_token: Object.fromEntries(devices.map(({ name, weightsPerToken }) => [name, weightsPerToken])),
    bandwidth: { gpu: machine.vramBandwidth, cpu: machine.ramBandwidth },
    ...(advice.length > 0 && { would_fit: advice.map(({ change, text }) => ({ change, text })) }),
  };
}

export function planAsText(plan: Plan, advice: readonly Advice[]): string {
  const { model, machine, workload, placement, devices } = plan;
  const layers = model.layers.length;
  const lines = [
    `${model.name || model.uri}: ${layers} layers, ${model.experts} experts (${model.expertsUsed} used), ` +
      `context ${workload.context} shared by ${workload.slots} slots, KV ${workload.kvType}`,
    '',
    table([
      ['device', 'layers', 'with experts', 'weights', 'KV', 'compute', 'total', 'of'],
      ...devices.map(deviceRow),
    ]),
    '',
    settings(plan),
    `decode ceiling of one stream: ${plan.ceiling.toFixed(1)} tokens/s, ` +
      `${plan.ceilingFullContext.toFixed(1)} with the context full ` +
      `(${bandwidths(plan)}; bytes read a token: ${readings(devices)})`,
  ];
  if (machine.vram.length > 0) {
    lines.push(`compute on a GPU includes ${readable(driverBytes)} for the driver's own context`);
  }
  if (plan.fits) lines.push(`serve so: huozi-gpu-backend serve ${serveArgs(plan).map(quoted).join(' ')}`);
  if (!plan.fits) {
    const over = devices.filter(({ capacity, total }) => capacity !== undefined && total > capacity);
    lines.push('', `does not fit: ${over.map(overrun).join(', ')}`);
    if (advice.length > 0) lines.push('would fit:', ...advice.map(({ text }) => `  ${text}`));
  } else if (placement.gpuLayers > 0 && machine.ram === undefined && (devices.at(-1)?.total ?? 0) > 1e9) {
    lines.push(`RAM was not given (--ram): ${readable(devices.at(-1)?.total ?? 0)} must be free`);
  }
  return `${lines.join('\n')}\n`;
}

function deviceRow(device: PlannedDevice): string[] {
  const { name, layers, layersWithExperts, weights, kv, compute, total, capacity } = device;
  const of = capacity === undefined ? '' : readable(capacity);
  return [
    name,
    String(layers),
    String(layersWithExperts),
    ...[weights, kv, compute, total].map(readable),
    of,
  ];
}

function settings({ machine, placement }: Plan): string {
  if (machine.vram.length === 0) return 'placement: --gpu-layers 0';
  const split = placement.tensorSplit ? ` --tensor-split ${placement.tensorSplit.join(',')}` : '';
  return `placement: --gpu-layers ${placement.gpuLayers} --cpu-experts ${placement.cpuExpertLayers}${split}`;
}

/** The command line that makes the engine do what was planned; a model that is not here yet is named by its file. */
function serveArgs({ model, machine, workload, placement }: Plan): string[] {
  const file = isRemote(model.uri)
    ? decodeURIComponent(new URL(model.uri).pathname.split('/').at(-1) ?? '')
    : model.uri;
  const onGpu = machine.vram.length > 0;
  return [
    ...['--model', file],
    ...['--gpu-layers', String(placement.gpuLayers)],
    ...(onGpu ? ['--cpu-experts', String(placement.cpuExpertLayers)] : []),
    ...(placement.tensorSplit ? ['--tensor-split', placement.tensorSplit.join(',')] : []),
    ...['--kv-type', workload.kvType],
    ...['--context', String(workload.context)],
    ...['--slots', String(workload.slots)],
    ...['--batch', String(workload.batch)],
  ];
}

/** For a shell, where it needs it. */
const quoted = (word: string) =>
  /^[\w./,:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

function bandwidths({ machine, devices }: Plan): string {
  const rate = (bytes: number) => `${Math.round(bytes / 1e9)} GB/s`;
  const parts = machine.vram.length > 0 ? [`VRAM ${rate(machine.vramBandwidth)}`] : [];
  if (devices.at(-1)?.weightsPerToken) parts.push(`RAM ${rate(machine.ramBandwidth)}`);
  return parts.join(', ');
}

const readings = (devices: readonly PlannedDevice[]) =>
  devices.map(({ name, weightsPerToken }) => `${name} ${readable(weightsPerToken)}`).join(', ');

const overrun = ({ name, total, capacity = 0 }: PlannedDevice) =>
  `${name} needs ${readable(total)} of ${readable(capacity)}`;

/** Columns as wide as their widest cell, numbers to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
