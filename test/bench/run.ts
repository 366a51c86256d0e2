/**
 * `npm run bench [-- engine|prefix|joining|edge|gateways|streams|affinity]`: tokens/s and TTFT at 1, 4, 8 and 16 streams – the engine alone
 * beside llama-server (when `LLAMA_SERVER` names one), and the edge beside its node; requests with a shared prefix; a
 * long prompt that joins running streams. Medians of interleaved runs, appended to results.jsonl.
 * `-- heavy` is decode, prefill and a shared prefix on 790 M parameters (moe.ts), only when asked for. Its weights are
 * random and its tokens have no text, whose gaps `joining` measures.
 * What `gateways` measures stands in gateway-bench.ts, `streams` in streams.ts, `affinity` in affinity.ts.
 * `BENCH_MODEL` takes another GGUF than huozi-tiny, `BENCH_ROUNDS` another number of rounds than 5.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { loadEngine } from 'huozi-gpu-backend';
import { startStack } from '../stack.ts';
import { benchAffinity } from './affinity.ts';
import { benchGateways } from './gateway-bench.ts';
import { benchJoining } from './joining.ts';
import { interleave, type Measured, measure, streamCounts } from './load.ts';
import { benchMoe, mediumModel } from './moe.ts';
import { record } from './results.ts';
import { benchSharedPrefix } from './shared-prefix.ts';
import { benchStreams } from './streams.ts';
import { edgeTarget, engineAlone, llamaServer, nodeTarget, promptSegments } from './targets.ts';

const tiny = fileURLToPath(
  new URL('../../gpu-backend/models/huozi-tiny/huozi-tiny-q8_0.gguf', import.meta.url),
);
const model = process.env.BENCH_MODEL ?? tiny;
const rounds = Number(process.env.BENCH_ROUNDS ?? 5);
const threads = Math.max(1, availableParallelism() - 1);
const slots = 16;
const contextTokens = 16 * 512;

function both(bench: string, against: string, ours: Measured, peer: Measured | undefined): void {
  record({
    bench,
    metric: 'throughput',
    ours: ours.tokensPerSecond,
    peer: peer?.tokensPerSecond ?? null,
    against,
    unit: 'tokens/s',
  });
  record({ bench, metric: 'ttft p50', ours: ours.ttftMs, peer: peer?.ttftMs ?? null, against, unit: 'ms' });
}

async function benchEngine(): Promise<void> {
  // Equal work: neither side shares prefixes here.
  const engine = await loadEngine({
    modelPath: model,
    slots,
    contextTokens,
    batchTokens: 512,
    threads,
    prefixCache: false,
  });
  const ids = engine.tokenize(promptSegments);
  const binary = process.env.LLAMA_SERVER;
  const peer = binary ? await llamaServer(binary, model, { threads, slots, contextTokens, ids }) : undefined;
  for (const streams of streamCounts) {
    const result = await interleave(
      () => engineAlone(engine, streams),
      peer && (() => measure(peer.target, streams)),
      rounds,
    );
    both(`engine, ${streams} streams`, 'llama-server', result.ours, result.peer);
  }
  await peer?.stop();
  await engine.close();
}

async function benchEdge(): Promise<void> {
  const stack = await startStack(['--model', model, '--threads', String(threads), '--slots', String(slots)]);
  for (const streams of streamCounts) {
    const result = await interleave(
      () => measure(edgeTarget(stack), streams),
      () => measure(nodeTarget(stack), streams),
      rounds,
    );
    both(`edge, ${streams} streams`, 'the node direct', result.ours, result.peer);
  }
  await stack.stop();
}

/** The engine beside llama-server where arithmetic counts: a model of 790 M parameters, some ten minutes in all. */
async function benchHeavy(): Promise<void> {
  const medium = mediumModel();
  await benchMoe(threads, Number(process.env.BENCH_ROUNDS ?? 3));
  await benchSharedPrefix(medium, threads, 1);
}

const benches: Record<string, () => Promise<void>> = {
  engine: benchEngine,
  prefix: () => benchSharedPrefix(model, threads, rounds),
  joining: () => benchJoining(model, threads, rounds),
  edge: benchEdge,
  gateways: benchGateways,
  streams: benchStreams,
  affinity: () => benchAffinity(rounds),
  heavy: benchHeavy,
};
const chosen = process.argv.slice(2);
for (const name of chosen.length > 0 ? chosen : Object.keys(benches).filter((one) => one !== 'heavy')) {
  const bench = benches[name];
  if (!bench) throw new Error(`${name} is none of ${Object.keys(benches).join(', ')}`);
  await bench();
}
