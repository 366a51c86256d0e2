import { parseArgs } from 'node:util';
import { readHeader } from '../gguf/header.ts';
import { readModel } from '../gguf/model.ts';
import { adviseOn } from '../planner/advice.ts';
import { planAutomatically } from '../planner/auto.ts';
import { defaultBandwidths, parseBandwidth, ramBandwidths, vramBandwidths } from '../planner/bandwidth.ts';
import { parseBytes } from '../planner/bytes.ts';
import { planPlacement } from '../planner/plan.ts';
import { planAsJson, planAsText } from '../planner/report.ts';
import { type KvType, kvTypes, type Machine, type Workload } from '../planner/types.ts';
import { type Command, UsageError, wholeNumber } from './command.ts';
import { planForVllm, vllmPlanFlags, vllmPlanHelp } from './plan-vllm.ts';

const doesNotFit = 3;

const help = `Usage: huozi-gpu-backend plan MODEL --vram SIZE[,SIZE…] [options]
       huozi-gpu-backend plan MODEL --engine vllm --gpus 8x80GB [options]

Says where the layers, experts and KV cache of a model go on a machine, what
each device holds, and how fast its memory lets it decode. Reads the header of
a GGUF only: a file (any shard of a split one), or an http(s) URL whose server
answers range requests.

  --vram SIZE,…          memory of each GPU, such as 24GB or 24GB,24GB; none: no GPU
  --ram SIZE             memory the node may use (default: as much as it takes)
  --context N            KV cells shared by all slots, tokens (default 32768)
  --slots N              sequences that decode at the same time (default 8)
  --batch N              tokens of one decode step (default 512)
  --kv-type TYPE         ${Object.keys(kvTypes).join(', ')} (default f16)
  --gpu-layers N|all     plan this: the last N layers on the GPUs; the output is the
                         last one, so a model of 32 layers has 33
  --cpu-experts N|all    plan this: the experts of the first N layers in RAM
  --vram-bandwidth RATE  936GB/s, or a card (default ${defaultBandwidths.vram}):
                         ${wrapped(Object.keys(vramBandwidths))}
  --ram-bandwidth RATE   80GB/s, or modules (default ${defaultBandwidths.ram}):
                         ${wrapped(Object.keys(ramBandwidths))}
  --json                 for programs: sizes in bytes, rates in bytes/s
  -h, --help             this text

Without --gpu-layers and --cpu-experts the planner chooses: all on the GPUs if it
fits; else the experts of as few layers as needed in RAM; else fewer layers on
the GPUs. GB is 10^9 bytes, GiB 2^30.

${vllmPlanHelp}
The ceiling is one stream's: 1 / sum over devices of (bytes of active weights a
token reads there / bandwidth); with the context full, plus the KV it reads.

Exit code 0: fits. 3: does not fit, and what would is printed. 2: wrong usage.
1: the model cannot be read.
`;

export const plan: Command = {
  summary: "plan a model's layers and experts on GPUs and RAM",
  help,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...vllmPlanFlags,
        vram: { type: 'string' },
        ram: { type: 'string' },
        context: { type: 'string' },
        slots: { type: 'string' },
        batch: { type: 'string', default: '512' },
        'kv-type': { type: 'string' },
        'gpu-layers': { type: 'string' },
        'cpu-experts': { type: 'string' },
        'vram-bandwidth': { type: 'string', default: defaultBandwidths.vram },
        'ram-bandwidth': { type: 'string', default: defaultBandwidths.ram },
        json: { type: 'boolean', default: false },
      },
    });
    const [uri, ...more] = positionals;
    if (!uri || more.length > 0) throw new UsageError('plan takes one model, a path or a URL');
    if (values.engine === 'vllm') {
      const { text, fits } = await planForVllm(uri, values);
      process.stdout.write(text);
      return fits ? 0 : doesNotFit;
    }
    if (values.engine !== 'llama.cpp') {
      throw new UsageError(`--engine takes llama.cpp or vllm, not "${values.engine}"`);
    }
    const machine: Machine = {
      vram: values.vram === undefined ? [] : values.vram.split(',').map((size) => bytes('vram', size)),
      vramBandwidth: bandwidth('vram-bandwidth', values['vram-bandwidth'], vramBandwidths),
      ramBandwidth: bandwidth('ram-bandwidth', values['ram-bandwidth'], ramBandwidths),
      ...(values.ram !== undefined && { ram: bytes('ram', values.ram) }),
    };
    const workload: Workload = {
      context: wholeNumber('context', values.context ?? '32768', 1, 2 ** 24),
      slots: wholeNumber('slots', values.slots ?? '8', 1, 256),
      batch: wholeNumber('batch', values.batch, 1, 2 ** 20),
      kvType: kvType(values['kv-type'] ?? 'f16'),
    };
    const gpuLayers = layerCount('gpu-layers', values['gpu-layers']);
    const cpuExperts = layerCount('cpu-experts', values['cpu-experts']);
    if (machine.vram.length === 0 && (gpuLayers ?? 0) > 0) {
      throw new UsageError('--gpu-layers needs --vram');
    }

    const model = readModel(await readHeader(uri));
    const layers = model.layers.length;
    const asked = gpuLayers !== undefined || cpuExperts !== undefined;
    const planned = asked
      ? planPlacement(model, machine, workload, {
          gpuLayers:
            machine.vram.length === 0 ? 0 : Math.min(gpuLayers ?? Number.POSITIVE_INFINITY, layers + 1),
          cpuExpertLayers: Math.min(cpuExperts ?? 0, layers),
        })
      : planAutomatically(model, machine, workload);
    const advice = planned.fits ? [] : adviseOn(planned);
    process.stdout.write(
      values.json ? `${JSON.stringify(planAsJson(planned, advice), null, 2)}\n` : planAsText(planned, advice),
    );
    return planned.fits ? 0 : doesNotFit;
  },
};

function bytes(option: string, text: string): number {
  const value = parseBytes(text);
  if (!value) throw new UsageError(`--${option} takes a size such as 24GB, not "${text}"`);
  return value;
}

function bandwidth(option: string, text: string, names: Readonly<Record<string, number>>): number {
  const value = parseBandwidth(text, names);
  if (!value)
    throw new UsageError(`--${option} takes a rate such as 80GB/s or a name (--help), not "${text}"`);
  return value;
}

function kvType(text: string): KvType {
  if (!Object.hasOwn(kvTypes, text)) {
    throw new UsageError(`--kv-type takes ${Object.keys(kvTypes).join(', ')}, not "${text}"`);
  }
  return text as KvType;
}

function layerCount(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return text === 'all' ? Number.POSITIVE_INFINITY : wholeNumber(option, text, 0);
}

function wrapped(names: string[]): string {
  const half = Math.ceil(names.length / 2);
  return `${names.slice(0, half).join(', ')},\n${' '.repeat(25)}${names.slice(half).join(', ')}`;
}
