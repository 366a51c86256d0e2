/** Requests that come at once and begin alike: total time, each server with its own prefix cache as it comes. */
import { type Engine, loadEngine } from 'huozi-gpu-backend';
import { eventTimes, median } from './load.ts';
import { record } from './results.ts';
import { greedy, llamaServer } from './targets.ts';

const requests = 16;
const prefixTokens = 1000;
const ownTokens = 20;
const answerTokens = 16;

/** A new prefix each round, or the caches would know it from the last one. */
function prompts(engine: Engine, round: number): Int32Array[] {
  const verse = engine.tokenize([{ text: '春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。' }]) as Int32Array;
  return Array.from({ length: requests }, (_, request) =>
    Int32Array.from({ length: prefixTokens + ownTokens }, (_, i) => {
      const { bos, begin } = engine.info.tokens;
      if (i === 0) return bos;
      if (i === prefixTokens) return begin;
      const shift = i < prefixTokens ? round : round + request + 1;
      return verse[(i * shift) % verse.length] as number;
    }),
  );
}

function answered(engine: Engine, promptIds: Int32Array): Promise<void> {
  return new Promise((resolve, reject) => {
    engine.generate(
      {
        promptIds,
        sampling: greedy,
        maxTokens: answerTokens,
        stopIds: [],
        stopStrings: [],
        ignoreEos: true,
      },
      {
        onText: () => undefined,
        onEnd: ({ reason, error }) => (reason === 'length' ? resolve() : reject(error ?? new Error(reason))),
      },
    );
  });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

export async function benchSharedPrefix(model: string, threads: number, rounds: number): Promise<void> {
  const contextTokens = requests * (prefixTokens + ownTokens + answerTokens + 10);
  const options = { slots: requests, contextTokens, threads };
  const engine = await loadEngine({ modelPath: model, batchTokens: 512, ...options });
  const binary = process.env.LLAMA_SERVER;
  const ids = new Int32Array(0);
  const peer = binary ? await llamaServer(binary, model, { ...options, ids }) : undefined;
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const all = prompts(engine, round + 1);
    const mine = await timed(() => Promise.all(all.map((prompt) => answered(engine, prompt))));
    const peers =
      peer &&
      (await timed(() => Promise.all(all.map((prompt) => eventTimes(peer.complete(prompt, answerTokens))))));
    // The first round warms up.
    if (round === 0) continue;
    ours.push(mine);
    if (peers !== undefined) theirs.push(peers);
  }
  record({
    bench: `${requests} requests share ${prefixTokens} tokens`,
    metric: 'total time',
    ours: median(ours),
    peer: theirs.length > 0 ? median(theirs) : null,
    against: 'llama-server',
    unit: 'ms',
  });
  await peer?.stop();
  await engine.close();
}
