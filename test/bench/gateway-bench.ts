/**
 * `npm run bench -- gateways`: the edge, durable and lean, beside the node direct, beside a worker that does nothing,
 * and beside other gateways, all before one node that keeps a beat. About five minutes; `BENCH_ROUNDS=1` takes two.
 */
import { addedTtft, mostStreams, onTheBeat, timePerToken, ttft } from './gateway-load.ts';
import { direct, edge, type Gateway, others, portkey, rawBody, startPacedNode } from './gateways.ts';
import { median } from './load.ts';
import { record } from './results.ts';

/** Cloudflare's price of CPU time on the paid plan: dollars a million milliseconds (2026-04). */
const dollarsPerCpuSecond = 0.02 / 1_000;
/** Over so many tokens a request's own share is spread, where there is a price for a million. */
const answerTokens = 500;
const rounds = Number(process.env.BENCH_ROUNDS ?? 3);

export async function benchGateways(): Promise<void> {
  const node = await startPacedNode();
  const base = direct(node.url);
  const raw = await rawBody(node.url);
  const ours = [await edge(node.url, 'durable'), await edge(node.url, 'lean')];
  const peers = [
    await portkey(node.url, true),
    await portkey(node.url, false),
    ...(await Promise.all(others(node.url))),
  ];
  const all = [base, raw, ...ours, ...peers];

  // Each figure is taken of all in turn, several times: the machine's mood hits all alike.
  const figures = await interleaved(all, async (to) => ({
    ttft: await ttft(to, 60),
    perToken: await timePerToken(to),
    ...(await onTheBeat(to, { streams: 20, perSecond: 20, seconds: 12 })),
  }));
  const through = all.slice(1);
  // By now all have answered some hundred requests, and run as they do in use.
  const first = await addedTtft(base, through, 50 * rounds);
  const of = (gateway: Gateway) => figures.get(gateway)!;
  const bench = (gateway: Gateway) => `gateway: ${gateway.name}`;
  for (const gateway of [raw, ...ours, ...peers]) {
    const line = { bench: bench(gateway), against: base.name };
    const added = first.added[through.indexOf(gateway)]!;
    record({ ...line, metric: 'added ttft p50', ours: added, peer: first.base, unit: 'ms' });
    const backToBack = of(gateway).ttft - of(base).ttft;
    const metric = 'added ttft p50, back to back';
    record({ ...line, metric, ours: backToBack, peer: of(base).ttft, unit: 'ms' });
    const slower = of(gateway).perToken - of(base).perToken;
    record({ ...line, metric: 'added time per token', ours: slower, peer: of(base).perToken, unit: 'µs' });
    const beside = { bench: bench(gateway), against: raw.name };
    const both = (metric: string, unit: string, figure: (to: Gateway) => number) =>
      record({ ...beside, metric, unit, ours: figure(gateway), peer: figure(raw) });
    both('CPU per token, 20/s', 'µs', (to) => of(to).cpuPerToken);
    both('CPU per request', 'µs', (to) => of(to).cpuPerRequest);
    // Microseconds a token are seconds a million of them.
    const million = (to: Gateway) => of(to).cpuPerToken + of(to).cpuPerRequest / answerTokens;
    both(`CPU per million tokens in answers of ${answerTokens}`, 's', million);
    both('cost of that', 'US$', (to) => million(to) * dollarsPerCpuSecond);
  }

  const mostRaw = await mostStreams(raw, [250, 500, 750, 1_000]);
  const counts = { 'edge, durable': [150, 250, 350, 500], 'edge, lean': [250, 500, 750, 1_000] };
  for (const gateway of [...ours, ...peers.slice(1)]) {
    const most = await mostStreams(gateway, counts[gateway.name as keyof typeof counts] ?? [100, 250, 500]);
    const line = { bench: bench(gateway), metric: 'streams of 30 tokens/s', unit: 'streams' };
    record({ ...line, ours: most, peer: mostRaw, against: raw.name });
  }
  await Promise.all(all.map((gateway) => gateway.stop()));
  await node.stop();
}

async function interleaved<T extends Record<string, number>>(
  gateways: readonly Gateway[],
  measure: (gateway: Gateway) => Promise<T>,
): Promise<Map<Gateway, T>> {
  const runs = new Map<Gateway, T[]>(gateways.map((gateway) => [gateway, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [gateway, measured] of runs) measured.push(await measure(gateway));
  }
  return new Map(
    [...runs].map(([gateway, measured]) => {
      const names = Object.keys(measured[0]!) as (keyof T)[];
      return [
        gateway,
        Object.fromEntries(names.map((name) => [name, median(measured.map((one) => one[name]))])) as T,
      ];
    }),
  );
}
