/**
 * `npm run bench -- streams`: what it costs that an answer outlives its connection (`resumable`), or that a retry may
 * join it (an idempotency key), beside the same edge without either. About two minutes.
 */
import { randomUUID } from 'node:crypto';
import { onTheBeat, ttft } from './gateway-load.ts';
import { edge, type Gateway, startPacedNode } from './gateways.ts';
import { median } from './load.ts';
import { record } from './results.ts';

const rounds = Number(process.env.BENCH_ROUNDS ?? 3);

export async function benchStreams(): Promise<void> {
  const node = await startPacedNode();
  const plain = await edge(node.url, 'durable');
  const ways: Gateway[] = [
    plain,
    { ...plain, name: 'resumable', fields: { resumable: true } },
    { ...plain, name: 'idempotency key', fresh: () => ({ 'idempotency-key': randomUUID() }) },
  ];
  const runs = ways.map(() => ({ ttft: [] as number[], cpu: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const [at, way] of ways.entries()) {
      runs[at]!.ttft.push(await ttft(way, 60));
      const { cpuPerToken } = await onTheBeat(way, { streams: 20, perSecond: 20, seconds: 6 });
      runs[at]!.cpu.push(cpuPerToken);
    }
  }
  const [without, ...others] = runs;
  for (const [at, run] of others.entries()) {
    const line = { bench: `stream: ${ways[at + 1]!.name}`, against: plain.name };
    const figure = (metric: string, what: keyof typeof run, unit: string) =>
      record({ ...line, metric, ours: median(run[what]), peer: median(without![what]), unit });
    figure('ttft p50', 'ttft', 'ms');
    figure('CPU per token, 20/s', 'cpu', 'µs');
  }
  await plain.stop();
  await node.stop();
}
