/**
 * Many requests, a lot of them cancelled in some phase or late, each of which asks for a number back that nobody else
 * asks for: answers that were mixed up, slots that were lost and memory that grows all show.
 */
import type { Engine, GenerationEnd } from 'huozi-gpu-backend';
import { createEvaluator } from '../../src/engine/evaluate.ts';
import { loadModel } from '../../src/engine/model.ts';
import { greedy } from '../../src/engine/testing/generate.ts';

export interface SoakOptions {
  requests: number;
  /** Under way at the same time: more than the engine's slots, so that some wait. */
  concurrency: number;
  seed: number;
  /** Resident bytes now, after a collection where one can be had. */
  resident?: () => number;
}

export interface SoakReport {
  requests: number;
  byReason: Record<string, number>;
  /** Cancelled at once, some steps later but before any text (most in prefill, some still queued), decoding. */
  cancelled: { queued: number; prefill: number; decode: number };
  cachedTokens: number;
  promptTokens: number;
  /** Answers that are not the number asked for: the model's mistake if it makes it alone as well. */
  unlike: Asked[];
  /** The first answers that came to their end, whatever they say. */
  whole: Asked[];
  /** Slots that took a request again at the end. */
  slotsAtEnd: number;
  /** Median of resident bytes around half of the requests, and over the last tenth. */
  residentAtHalf: number;
  residentAtEnd: number;
  seconds: number;
}

export interface Asked {
  promptIds: Int32Array;
  marker: string;
  text: string;
  ids: number[];
}

const base = { sampling: greedy, maxTokens: 24, stopIds: [], stopStrings: [], ignoreEos: false };

type Plan = 'finish' | 'queued' | 'prefill' | 'decode' | 'deadline';

export async function soak(engine: Engine, options: SoakOptions): Promise<SoakReport> {
  const { requests, concurrency, resident = () => process.memoryUsage.rss() } = options;
  const random = mulberry32(options.seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const begin = performance.now();
  const report: SoakReport = {
    requests,
    byReason: {},
    cancelled: { queued: 0, prefill: 0, decode: 0 },
    cachedTokens: 0,
    promptTokens: 0,
    unlike: [],
    whole: [],
    slotsAtEnd: 0,
    residentAtHalf: 0,
    residentAtEnd: 0,
    seconds: 0,
  };
  const samples: number[] = [];
  let started = 0;

  const one = async (index: number) => {
    const marker = String(1000 + ((index * 7919) % 9000));
    const plan = pick<Plan>([
      'finish',
      'finish',
      'finish',
      'finish',
      'queued',
      'prefill',
      'decode',
      'deadline',
    ]);
    const rounds = Math.floor(random() * 8);
    const promptIds = conversation(engine, rounds, marker, pick(['跟我念', '请跟我念']));
    const waited = Math.floor(random() * 6);
    const kept = 1 + Math.floor(random() * 3);
    let text = '';
    const ids: number[] = [];
    const { end, cancelledIn } = await new Promise<{ end: GenerationEnd; cancelledIn?: Plan }>((resolve) => {
      let cancelledIn: Plan | undefined;
      const generation = engine.generate(
        {
          ...base,
          promptIds,
          tenant: pick(['a', 'b', 'c']),
          priority: pick([0, 0, 0, 1]),
          ...(plan === 'deadline' ? { deadlineMs: 1 + Math.floor(random() * 60) } : {}),
        },
        {
          onText(piece, more) {
            text += piece;
            ids.push(...more);
            if (plan === 'decode' && text.length >= kept) cancel('decode');
          },
          onEnd: (end) => resolve({ end, ...(cancelledIn && { cancelledIn }) }),
        },
      );
      const cancel = (phase: Plan) => {
        cancelledIn ??= phase;
        generation.cancel();
      };
      if (plan === 'queued') cancel('queued');
      if (plan === 'prefill') {
        void (async () => {
          for (let i = 0; i < waited; i++) await new Promise((resolve) => setImmediate(resolve));
          // By then it may wait, be in prefill, or have begun to answer.
          if (text === '') cancel('prefill');
        })();
      }
    });
    report.byReason[end.reason] = (report.byReason[end.reason] ?? 0) + 1;
    if (end.reason === 'cancelled' && cancelledIn)
      report.cancelled[cancelledIn as keyof SoakReport['cancelled']]++;
    report.cachedTokens += end.cachedTokens ?? 0;
    report.promptTokens += end.promptTokens;
    if (end.reason === 'error') throw end.error;
    const asked = { promptIds, marker, text, ids: [...ids, ...(end.ids ?? [])] };
    const isWhole = end.reason === 'stop';
    if (isWhole && report.whole.length < 10) report.whole.push(asked);
    if (isWhole ? text !== marker : !marker.startsWith(text)) report.unlike.push(asked);
  };

  const lane = async () => {
    while (started < requests) {
      const index = started++;
      if (index % Math.max(1, Math.floor(requests / 200)) === 0) samples.push(resident());
      await one(index);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  samples.push(resident());

  const share = (from: number, to: number) =>
    median(samples.slice(Math.floor(from * samples.length), Math.ceil(to * samples.length)));
  report.residentAtHalf = share(0.5, 0.6);
  report.residentAtEnd = share(0.9, 1);
  report.slotsAtEnd = await slotsThatWork(engine);
  report.seconds = (performance.now() - begin) / 1000;
  return report;
}

/** Rounding changes logits by less than this, in nats; a token of somebody else's answer lies far lower. */
export const nearTie = 0.5;

/** Earlier rounds are the same for everybody, as far as they go: something to share. */
function conversation(engine: Engine, rounds: number, marker: string, verb: string): Int32Array {
  const round = (text: string, answer?: string) => [
    { control: 'begin' as const },
    { text: `用户\n${text}` },
    { control: 'end' as const },
    { text: '\n' },
    { control: 'begin' as const },
    { text: `助手\n${answer ?? ''}` },
    ...(answer === undefined ? [] : [{ control: 'end' as const }, { text: '\n' }]),
  ];
  const earlier = Array.from({ length: rounds }, (_, i) => String(2460 + 111 * i));
  return engine.tokenize([
    { control: 'bos' },
    ...earlier.flatMap((number) => round(`跟我念“${number}”`, number)),
    ...round(`${verb}“${marker}”`),
  ]) as Int32Array;
}

/** As many requests at once as there are slots: how many of them run. */
async function slotsThatWork(engine: Engine): Promise<number> {
  const { slots } = engine.stats;
  let most = 0;
  await Promise.all(
    Array.from(
      { length: slots },
      (_, i) =>
        new Promise<void>((resolve) => {
          engine.generate(
            { ...base, promptIds: conversation(engine, 0, String(i), '跟我念'), ignoreEos: true },
            {
              onText: () => {
                most = Math.max(most, engine.stats.active);
              },
              onEnd: () => resolve(),
            },
          );
        }),
    ),
  );
  return most;
}

/**
 * How far below its best token the model, evaluating all in one piece and alone, sees each answer's worst one, in nats.
 * Nothing for its own mistakes; little where rounding decided a near-tie; a lot for a text that belongs elsewhere.
 */
export async function surprises(modelPath: string, asked: readonly Asked[]): Promise<number[]> {
  const model = await loadModel(modelPath);
  const evaluator = await createEvaluator(model, 512, 1);
  const size = model.vocabulary.texts.length;
  const worst: number[] = [];
  for (const { promptIds, ids } of asked) {
    const { logits } = await evaluator.evaluate(Int32Array.from([...promptIds, ...ids]));
    const gaps = ids.map((id, i) => {
      const at = (promptIds.length - 1 + i) * size;
      const row = logits.subarray(at, at + size);
      return row.reduce((most, logit) => Math.max(most, logit)) - (row[id] as number);
    });
    worst.push(Math.max(0, ...gaps));
  }
  evaluator.close();
  model.native.free();
  return worst;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
