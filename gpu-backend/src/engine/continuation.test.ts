/**
 * An answer that is cut and goes on from its ids, as on another node after the first one has died. Logits of a prompt
 * evaluated in one piece are rounded another way than those of the same tokens decoded one by one, so a near-tie can
 * fall differently; these answers, which end by themselves, have none.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sampling } from '../protocol.ts';
import { loadEngine } from './engine.ts';
import { ContinuationError } from './errors.ts';
import { type Answer, ask, greedy, start, tinyModel } from './testing/generate.ts';
import type { Engine, GenerationRequest } from './types.ts';

let engine: Engine;
beforeAll(async () => {
  const options = { slots: 4, contextTokens: 2048, batchTokens: 64, threads: 1, gpuLayers: 0 };
  engine = await loadEngine({ modelPath: tinyModel, ...options });
});
afterAll(() => engine?.close());

/** Ten different places, the same every time. */
function cuts(length: number): number[] {
  let seed = length;
  const places = new Set<number>();
  for (let tries = 0; places.size < Math.min(10, length) && tries < 1000; tries++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    places.add(Math.floor((seed / 2 ** 32) * length));
  }
  return [...places];
}

type Request = Partial<GenerationRequest> & { question: string };

const run = ({ question, ...request }: Request) =>
  start(engine, { promptIds: ask(engine, question), maxTokens: 200, ...request }).answer;

const allIds = (answer: Answer) => [...answer.ids];

/** Every `: ids` told until and including event i. */
function idsUntil(answer: Answer, events: number): number[] {
  return answer.events.slice(0, events).flatMap(({ ids }) => [...ids]);
}

const seeded: Sampling = { ...greedy, temperature: 0.8, top_p: 0.9, seed: 42 };
const cases: [string, Request][] = [
  ['seeded', { question: '背诵《静夜思》', sampling: seeded }],
  ['greedy', { question: '从1数到20', sampling: greedy }],
  [
    'with penalties',
    {
      question: '背诵《静夜思》',
      sampling: { ...seeded, repetition_penalty: 1.1, presence_penalty: 0.2, frequency_penalty: 0.1 },
    },
  ],
  [
    'with stop strings that hold text back and never come',
    { question: '从1数到20', sampling: seeded, stopStrings: ['1，2，3，4，9', '，1，', '2，1x'] },
  ],
  ['ended by a stop string', { question: '从1数到20', sampling: seeded, stopStrings: ['8，9，10'] }],
  ['ended by its length', { question: '从1数到20', sampling: seeded, maxTokens: 20 }],
];

describe('a continued answer', () => {
  for (const [name, request] of cases) {
    it(`${name}: is the same from ten places, told from where it was cut`, async () => {
      const whole = await run(request);
      expect(whole.completionTokens).toBe(allIds(whole).length);
      expect(whole.completionTokens).toBeGreaterThan(10);
      for (const cut of cuts(whole.completionTokens)) {
        const continueIds = allIds(whole).slice(0, cut);
        const rest = await run({ ...request, continueIds });
        expect(allIds(rest), `cut after ${cut}`).toEqual(allIds(whole).slice(cut));
        expect(rest).toMatchObject({
          reason: whole.reason,
          promptTokens: whole.promptTokens,
          completionTokens: whole.completionTokens,
        });
        // Text of those ids that was held back is told now, everything before is not.
        expect(rest.continued + rest.text).toBe(whole.text);
      }
    });

    it(`${name}: goes on from the end of every event with no seam`, async () => {
      const whole = await run(request);
      for (let events = 1; events <= whole.events.length; events += 3) {
        const continueIds = idsUntil(whole, events);
        expect(whole.events[events - 1]?.position).toBe(continueIds.length);
        const rest = await run({ ...request, continueIds });
        expect(rest.events).toEqual(whole.events.slice(events));
      }
    });
  }

  it('goes on inside a character', async () => {
    // Byte tokens have little probability by themselves; a vocabulary's rare character is spelled by them.
    const bytes = [...Buffer.from('𠮷')].map((byte) => byteToken(byte));
    const answers = await Promise.all(
      [0, 1, 2, 3].map((cut) =>
        run({ question: '你好', continueIds: bytes.slice(0, cut), sampling: forced(bytes), maxTokens: 4 }),
      ),
    );
    for (const [cut, { continued, text, events }] of answers.entries()) {
      expect(continued).toBe('');
      expect(text).toBe('𠮷');
      expect(events).toEqual([{ text: '𠮷', ids: bytes.slice(cut), position: 4 }]);
    }
  });

  it('tells only its end when it was complete', async () => {
    for (const request of [{}, { maxTokens: 20 }, { stopStrings: ['8，9'] }]) {
      const whole = await run({ question: '从1数到20', sampling: seeded, ...request });
      const again = await run({
        question: '从1数到20',
        sampling: seeded,
        ...request,
        continueIds: allIds(whole),
      });
      expect(again).toMatchObject({
        events: [],
        ids: [],
        text: '',
        continued: whole.text,
        reason: whole.reason,
      });
      expect(again.completionTokens).toBe(whole.completionTokens);
    }
  });

  it('refuses ids that no answer begins with', () => {
    const { eos } = engine.info.tokens;
    for (const continueIds of [[eos, 5], [5, engine.info.vocabulary], [-1]]) {
      const request = { promptIds: ask(engine, '你好'), continueIds };
      expect(() => start(engine, request)).toThrow(ContinuationError);
    }
    expect(engine.stats).toMatchObject({ active: 0, queued: 0 });
  });
});

function byteToken(byte: number): number {
  // SentencePiece's order: unknown, bos, eos, then the bytes.
  return 3 + byte;
}

/** Nothing but these tokens may come, each in its turn the only one left by its penalty. */
function forced(ids: readonly number[]): Sampling {
  const logit_bias = Object.fromEntries(ids.map((id, i) => [String(id), 100 - 2 * i]));
  return { ...greedy, presence_penalty: 2, frequency_penalty: 2, repetition_penalty: 2, logit_bias };
}
