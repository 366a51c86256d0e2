/** `npm run bench:gpu`: see `help`. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadEngine } from '../src/engine/engine.ts';
import { writeSynthetic } from '../src/gguf/testing/synthetic.ts';
import { gpusOf, listDevices } from '../src/native/devices.ts';
import { loadLibrary } from '../src/native/library.ts';
import { type Comparison, compare } from './compare.ts';
import { type Size, sizes } from './models.ts';
import { decodeRate, prefillRate } from './throughput.ts';

const help = `Usage: npm run bench:gpu -w gpu-backend -- [options]

Makes a Mixtral-shaped model of random weights, compares what the GPU computes
with what the CPU does, and prints tokens/s with all of it on the GPU, with the
experts of half the layers in RAM, and with all of them there, at 1, 8 and 32
streams: a markdown table on stdout, and JSON with --out.

For a machine without a package registry, carry along this repository with its
node_modules, into which was installed, on one that has it:
  npm install --no-save @node-llama-cpp/linux-x64-cuda@3.21.1 @node-llama-cpp/linux-x64-cuda-ext@3.21.1
There it needs Node 20 or later, the NVIDIA driver, CUDA 13's runtime
(libcudart.so.13 and libcublas.so.13 where the loader finds them), 12 GB of disk and
of VRAM, and 16 GB of RAM.

  --size NAME       ${Object.keys(sizes).join(', ')} (default large: 10 GB at q4_0)
  --type TYPE       q4_0, q8_0 (default q4_0)
  --dir FOLDER      where the model is written, and removed again (default: ${tmpdir()})
  --tokens N        tokens of an answer (default 64)
  --threads N       CPU threads (default: all)
  --cpu             without a GPU: shows that it runs, and measures this CPU
  --out FILE        the figures as JSON
  -h, --help        this text
`;

const streamCounts = [1, 8, 32] as const;
const promptTokens = 512;

interface Row {
  placement: string;
  gpuLayers: number;
  cpuExpertLayers: number;
  /** tokens/s. */
  prefill: number;
  decode: Record<number, number>;
}

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: 'large' },
    type: { type: 'string', default: 'q4_0' },
    dir: { type: 'string', default: tmpdir() },
    tokens: { type: 'string', default: '64' },
    threads: { type: 'string', default: String(availableParallelism()) },
    cpu: { type: 'boolean', default: false },
    out: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const tokens = Number(values.tokens);
const threads = Number(values.threads);
const fileType = { q4_0: 'Q4_0', q8_0: 'Q8_0' }[values.type];

function fail(message: string): never {
  process.stderr.write(`bench:gpu: ${message} (--help says more)\n`);
  process.exit(2);
}

async function measure(
  path: string,
  placement: string,
  gpuLayers: number,
  cpuExpertLayers: number,
): Promise<Row> {
  const most = Math.max(...streamCounts);
  const engine = await loadEngine({
    modelPath: path,
    slots: most,
    contextTokens: Math.max(most * (tokens + 16), promptTokens + 16),
    batchTokens: 512,
    threads,
    prefixCache: false,
    expertTelemetry: 'off',
    gpuLayers,
    cpuExpertLayers,
  });
  try {
    await decodeRate(engine, 1, 4);
    const prefill = await prefillRate(engine, promptTokens);
    const decode: Record<number, number> = {};
    for (const streams of streamCounts) {
      await decodeRate(engine, streams, Math.min(tokens, 8));
      decode[streams] = await decodeRate(engine, streams, tokens);
    }
    return { placement, gpuLayers, cpuExpertLayers, prefill, decode };
  } finally {
    await engine.close();
  }
}

function table(rows: readonly Row[]): string {
  const rate = (value: number | undefined) => (value ?? 0).toFixed(value && value < 10 ? 2 : 1);
  return [
    `| experts | prefill | ${streamCounts.map((n) => `${n} stream${n > 1 ? 's' : ''}`).join(' | ')} |`,
    `| --- | ---: |${' ---: |'.repeat(streamCounts.length)}`,
    ...rows.map(
      ({ placement, prefill, decode }) =>
        `| ${placement} | ${rate(prefill)} | ${streamCounts.map((n) => rate(decode[n])).join(' | ')} |`,
    ),
  ].join('\n');
}

function verdict({ tokens: count, top1, nll, passed }: Comparison): string {
  const share = `${(100 * top1).toFixed(1)} % of ${count} positions with the same first token`;
  return `${passed ? 'agrees' : 'DIFFERS'}: ${share}, log-probabilities ${nll.toFixed(4)} nats apart on average`;
}

async function run(): Promise<number> {
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const shape = sizes[values.size as Size];
  if (!shape) fail(`--size takes ${Object.keys(sizes).join(', ')}, not "${values.size}"`);
  if (!fileType) fail(`--type takes q4_0, q8_0, not "${values.type}"`);
  if (!(tokens >= 1 && Number.isInteger(tokens)))
    fail(`--tokens takes a whole number, not "${values.tokens}"`);
  if (!(threads >= 1 && Number.isInteger(threads)))
    fail(`--threads takes a whole number, not "${values.threads}"`);
  const gpus = gpusOf(listDevices());
  if (gpus.length === 0 && !values.cpu) {
    fail(`no GPU was found; libraries in use: ${loadLibrary().backends.join(', ')}. Without one: --cpu`);
  }
  const onGpu = gpus.length > 0 && !values.cpu;
  const device = onGpu ? gpus.map(({ description }) => description).join(', ') : cpus()[0]?.model.trim();

  const folder = mkdtempSync(join(values.dir, 'huozi-bench-'));
  try {
    const path = join(folder, 'model.gguf');
    writeSynthetic(path, { shape, fileType: fileType as 'Q4_0' | 'Q8_0', randomWeights: true });
    const bytes = statSync(path).size;
    const all = onGpu ? shape.layers + 1 : 0;
    const cpu = { gpuLayers: 0, cpuExpertLayers: 0 };
    const other = { gpuLayers: all, cpuExpertLayers: onGpu ? 0 : shape.layers };
    const check = await compare(path, cpu, other, 64, threads);
    const rows: Row[] = [];
    for (const [name, layers] of [
      [onGpu ? 'all on the GPU' : 'no override', 0],
      ['half in RAM', Math.ceil(shape.layers / 2)],
      ['all in RAM', shape.layers],
    ] as const) {
      rows.push(await measure(path, name, all, layers));
    }
    const title =
      `${device}, ${threads} CPU threads, llama.cpp ${loadLibrary().version}: ` +
      `${values.size}, ${values.type}, ${(bytes / 1e9).toFixed(2)} GB, answers of ${tokens} tokens, tokens/s`;
    process.stdout.write(
      `${title}\n\n${table(rows)}\n\n${onGpu ? 'GPU and CPU' : 'override'}: ${verdict(check)}\n`,
    );
    if (values.out) {
      const { backends, devices, version } = loadLibrary();
      const context = { device, devices, backends, llama_cpp: version, threads };
      const model = { size: values.size, type: values.type, bytes, shape };
      const date = new Date().toISOString();
      writeFileSync(
        values.out,
        `${JSON.stringify({ date, ...context, model, tokens, check, rows }, null, 2)}\n`,
      );
    }
    return check.passed ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

process.exitCode = await run();
