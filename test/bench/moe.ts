/**
 * `npm run bench -- heavy`, first part: the engine beside llama-server on a model of 790 M parameters in 8 experts, which is made on
 * the spot (`BENCH_MODEL` takes another): decode at 1, 4, 8 and 16 streams, prefill of one prompt, the share of a step
 * that is not llama_decode, and what expert telemetry costs. Interleaved runs, medians.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, type EngineOptions, loadEngine } from 'huozi-gpu-backend';
import { sizes } from '../../gpu-backend/bench/models.ts';
import { decodeRate, freshPrompt, prefillRate } from '../../gpu-backend/bench/throughput.ts';
import { writeSynthetic } from '../../gpu-backend/src/gguf/testing/synthetic.ts';
import { eventTimes, median, streamCounts } from './load.ts';
import { record } from './results.ts';
import { type LlamaServer, llamaServer } from './targets.ts';

const decodeTokens = 48;
const prefillTokens = 1024;
const slots = 16;

/** The model of the heavy benchmarks, made if it is not there yet. */
export function mediumModel(): string {
  const path = process.env.BENCH_MODEL ?? join(tmpdir(), 'huozi-bench-medium-q4_0.gguf');
  if (!existsSync(path)) {
    writeSynthetic(path, { shape: sizes.medium, fileType: 'Q4_0', randomWeights: true });
  }
  return path;
}

/** Runs each in turn, so often; the first round warms up and is not counted. @returns the median of each */
async function interleaved(ways: (() => Promise<number>)[], rounds: number): Promise<number[]> {
  const results = ways.map((): number[] => []);
  for (let round = 0; round <= rounds; round++) {
    for (const [i, way] of ways.entries()) {
      const result = await way();
      if (round > 0) results[i]?.push(result);
    }
  }
  return results.map(median);
}

async function beside(
  bench: string,
  ours: () => Promise<number>,
  peer: (() => Promise<number>) | undefined,
  rounds: number,
): Promise<void> {
  const [mine, theirs] = await interleaved(peer ? [ours, peer] : [ours], rounds);
  const against = 'llama-server';
  record({
    bench,
    metric: 'throughput',
    ours: mine as number,
    peer: theirs ?? null,
    against,
    unit: 'tokens/s',
  });
}

async function peerDecode(peer: LlamaServer, vocabulary: number, streams: number): Promise<number> {
  const all = Array.from({ length: streams }, () => freshPrompt(vocabulary, 8));
  const begin = performance.now();
  await Promise.all(all.map((prompt) => eventTimes(peer.complete(prompt, decodeTokens))));
  return (streams * decodeTokens * 1000) / (performance.now() - begin);
}

async function peerPrefill(peer: LlamaServer, vocabulary: number): Promise<number> {
  const prompt = freshPrompt(vocabulary, prefillTokens);
  const begin = performance.now();
  await eventTimes(peer.complete(prompt, 1));
  return (prefillTokens * 1000) / (performance.now() - begin);
}

/** Of the time from the first step to the last, what was not spent in llama_decode. */
async function ownShare(engine: Engine): Promise<number> {
  const before = engine.stats.stepMs;
  const begin = performance.now();
  await decodeRate(engine, 16, decodeTokens);
  return 1 - (engine.stats.stepMs - before) / (performance.now() - begin);
}

export async function benchMoe(threads: number, rounds: number): Promise<void> {
  const modelPath = mediumModel();
  const options: EngineOptions = {
    modelPath,
    slots,
    contextTokens: 4096,
    batchTokens: 512,
    threads,
    gpuLayers: 0,
    // Equal work: prompts are new each time, on both sides.
    prefixCache: false,
    expertTelemetry: 'off',
  };
  const engine = await loadEngine(options);
  const { vocabulary } = engine.info;
  const binary = process.env.LLAMA_SERVER;
  const peer = binary
    ? await llamaServer(binary, modelPath, {
        threads,
        slots,
        contextTokens: options.contextTokens,
        ids: new Int32Array(0),
      })
    : undefined;
  for (const streams of streamCounts) {
    await beside(
      `790 M decode, ${streams} streams`,
      () => decodeRate(engine, streams, decodeTokens),
      peer && (() => peerDecode(peer, vocabulary, streams)),
      rounds,
    );
  }
  await beside(
    `790 M prefill, ${prefillTokens} tokens`,
    () => prefillRate(engine, prefillTokens),
    peer && (() => peerPrefill(peer, vocabulary)),
    rounds,
  );
  await peer?.stop();

  const [share] = await interleaved([() => ownShare(engine)], rounds);
  record({
    bench: '790 M decode, 16 streams',
    metric: 'own work of a step',
    ours: 100 * (share as number),
    peer: null,
    against: 'a limit of 5',
    unit: '%',
  });

  const watching = await loadEngine({ ...options, expertTelemetry: 'sampled' });
  const [on, off] = await interleaved(
    [watching, engine].map((one) => () => decodeRate(one, 8, decodeTokens)),
    2 * rounds,
  );
  record({
    bench: '790 M decode, 8 streams',
    metric: 'with expert telemetry',
    ours: on as number,
    peer: off as number,
    against: 'without',
    unit: 'tokens/s',
  });
  const { steps, steps_sampled, sampling_cost } = await watching.expertTelemetry();
  process.stdout.write(
    `looked into ${steps_sampled} of ${steps} steps, ${(100 * sampling_cost).toFixed(2)} % of their time\n`,
  );
  await watching.close();
  await engine.close();
}
