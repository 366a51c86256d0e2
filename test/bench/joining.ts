/** A long prompt joins running streams: the gaps between their tokens while it is evaluated, and its time to the first. */
import { type Engine, loadEngine } from 'huozi-gpu-backend';
import { eventTimes, median } from './load.ts';
import { record } from './results.ts';
import { greedy, llamaServer } from './targets.ts';

const streams = 8;
const shortTokens = 20;

interface Joined {
  /** 99th percentile of the gaps that lie in the prefill of the long prompt, ms. */
  gapMs: number;
  ttftMs: number;
}

/** Starts a stream; settles at its end. Stopped before, if `stop` is called. */
type Start = (prompt: Int32Array, tokens: number, onEvent: (at: number) => void) => Promise<void>;

/** Tokens without text would look like gaps: nobody may draw the markers, as llama-server's `ignore_eos` bans eos. */
function unmarked({ eos, begin, end }: Engine['info']['tokens']): Record<string, number> {
  return { [eos]: -100, [begin]: -100, [end]: -100 };
}

function ours(engine: Engine): Start {
  const sampling = { ...greedy, logit_bias: unmarked(engine.info.tokens) };
  return (promptIds, maxTokens, onEvent) =>
    new Promise((resolve, reject) => {
      engine.generate(
        { promptIds, sampling, maxTokens, stopIds: [], stopStrings: [], ignoreEos: true },
        {
          onText: () => onEvent(performance.now()),
          onEnd: ({ reason, error }) =>
            reason === 'length' ? resolve() : reject(error ?? new Error(reason)),
        },
      );
    });
}

/** @param seed of the prompts: no cache shall know them */
async function join(
  start: Start,
  vocabulary: number,
  long: number,
  tokens: number,
  seed: number,
): Promise<Joined> {
  const prompt = (length: number, index: number) =>
    Int32Array.from(
      { length },
      (_, i) => 300 + ((i * 7919 + index * 104_729 + seed * 15_485_863) % (vocabulary - 310)),
    );
  const times = Array.from({ length: streams }, (): number[] => []);
  let running = 0;
  let first = 0;
  const allRun = new Promise<void>((resolve, reject) => {
    for (const [index, at] of times.entries()) {
      void start(prompt(shortTokens, index), tokens, (now) => {
        if (at.push(now) === 3 && ++running === streams) resolve();
      }).then(() => {
        ends.push(index);
        if (at.length < 3) reject(new Error('a stream told no text: this bench needs a model that speaks'));
      });
    }
  });
  const ends: number[] = [];
  await allRun;
  const began = performance.now();
  await start(prompt(long, streams), 2, (now) => {
    first ||= now;
  });
  if (ends.length > 0)
    throw new Error('a stream ended before the long prompt was through: give them more tokens');
  while (ends.length < streams) await new Promise((resolve) => setTimeout(resolve, 10));
  const gaps = times
    .flatMap((at) =>
      at.slice(1).map((time, i) => ({ gap: time - (at[i] as number), time, from: at[i] as number })),
    )
    .filter(({ time, from }) => time > began && from < first)
    .map(({ gap }) => gap)
    .sort((a, b) => a - b);
  return { gapMs: gaps[Math.ceil(0.99 * gaps.length) - 1] as number, ttftMs: first - began };
}

export async function benchJoining(model: string, threads: number, rounds: number): Promise<void> {
  const contextTokens = 8192;
  const options = { slots: streams + 1, contextTokens, threads };
  const engine = await loadEngine({ modelPath: model, batchTokens: 512, ...options });
  const { vocabulary, maxSequence } = engine.info;
  const long = Math.min(4000, maxSequence - 96);
  const tokens = Math.floor((contextTokens - long - 16) / streams) - shortTokens;
  const binary = process.env.LLAMA_SERVER;
  const ids = new Int32Array(0);
  const peer = binary ? await llamaServer(binary, model, { ...options, ids }) : undefined;
  const mine: Joined[] = [];
  const theirs: Joined[] = [];
  for (let round = 0; round <= rounds; round++) {
    const joined = await join(ours(engine), vocabulary, long, tokens, 2 * round);
    const peers =
      peer &&
      (await join(
        (prompt, count, onEvent) =>
          eventTimes(peer.complete(prompt, count, unmarked(engine.info.tokens)), onEvent),
        vocabulary,
        long,
        tokens,
        2 * round + 1,
      ));
    if (round === 0) continue;
    mine.push(joined);
    if (peers) theirs.push(peers);
  }
  const of = (runs: Joined[], what: keyof Joined) =>
    runs.length > 0 ? median(runs.map((run) => run[what])) : null;
  const bench = `${long} tokens join ${streams} streams`;
  for (const [metric, what] of [
    ['p99 gap', 'gapMs'],
    ['ttft of the prompt', 'ttftMs'],
  ] as const) {
    record({
      bench,
      metric,
      ours: of(mine, what) as number,
      peer: of(theirs, what),
      against: 'llama-server',
      unit: 'ms',
    });
  }
  await peer?.stop();
  await engine.close();
}
