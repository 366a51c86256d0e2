/** Random loads on the scheduler and its prefix cache, over cells that are shared as llama.cpp's are. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Scheduler } from './scheduler.ts';
import { Sequence } from './sequence.ts';
import { expectedAnswer, FakeContext } from './testing/fake-context.ts';
import { greedy } from './testing/generate.ts';
import { TokenPieces } from './token-pieces.ts';
import type { GenerationEnd } from './types.ts';

const vocabulary = 8;
const pieces = new TokenPieces(
  {
    texts: Array.from({ length: vocabulary }, (_, id) => String.fromCharCode(97 + id)),
    attributes: new Int32Array(vocabulary).fill(4),
    scores: new Float32Array(vocabulary),
    bos: 1,
    eos: 2,
  },
  [],
);
const slots = 4;

/** Few beginnings, cut anywhere: so that prompts share, repeat and contain each other. */
const beginnings = Array.from({ length: 3 }, (_, b) =>
  Array.from({ length: 60 }, (_, i) => (i * (b + 2) + (i >> 2)) % vocabulary),
);

const request = fc.record({
  /** Turns of the event loop before it comes; one of the fake's steps takes one. */
  pause: fc.integer({ min: 0, max: 3 }),
  tenant: fc.constantFrom('', 'a'),
  priority: fc.constantFrom(0, 0, 1),
  beginning: fc.integer({ min: 0, max: 2 }),
  shared: fc.integer({ min: 0, max: 60 }),
  own: fc.array(fc.integer({ min: 0, max: vocabulary - 1 }), { minLength: 1, maxLength: 5 }),
  maxTokens: fc.integer({ min: 1, max: 20 }),
  /** Turns after which it is cancelled. */
  cancelAfter: fc.option(fc.integer({ min: 0, max: 12 })),
  /** Its listener throws at its first text. */
  throws: fc.constantFrom(false, false, false, false, true),
  /** The step under way when it comes fails. */
  breaks: fc.constantFrom(...Array<boolean>(12).fill(false), true),
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

it('answers right, holds no more cells than it has or says, and leaves nothing behind', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { minLength: 1, maxLength: 25 }),
      fc.integer({ min: 5, max: 9 }),
      fc.integer({ min: 90, max: 300 }),
      fc.boolean(),
      async (requests, ids, contextTokens, prefixCache) => {
        const context = new FakeContext(contextTokens, 16, slots, vocabulary);
        const scheduler = new Scheduler(context, {
          slots,
          contextTokens,
          batchTokens: 16,
          besideTokens: 4,
          vocabularySize: vocabulary,
          maxQueue: 100,
          maxQueueTokens: 10_000,
          prefixCache,
          ids: Array.from({ length: ids }, (_, id) => id),
        });
        let broken = false;
        context.onStep = () => {
          const { active, kvUsed, kvCached } = scheduler.stats;
          expect(active).toBeLessThanOrEqual(slots);
          expect(context.ids).toBeLessThanOrEqual(ids);
          // What was promised to running sequences is more than what they hold.
          expect(context.used).toBeLessThanOrEqual(kvUsed + kvCached);
          expect(kvUsed + kvCached).toBeLessThanOrEqual(contextTokens);
        };
        const answers = [];
        for (const { pause, beginning, shared, own, cancelAfter, throws, breaks, ...rest } of requests) {
          for (let i = 0; i < pause; i++) await turn();
          if (breaks) {
            context.failure = -3;
            broken = true;
          }
          const prompt = [...beginnings[beginning]!.slice(0, shared), ...own];
          const answer = new Promise<void>((resolve) => {
            const ids: number[] = [];
            const events = {
              onText: (_: string, more: readonly number[]) => {
                if (throws) throw new Error('the listener is gone');
                ids.push(...more);
              },
              onEnd: ({ reason, completionTokens, cachedTokens }: GenerationEnd) => {
                if (throws) expect(['error', 'cancelled']).toContain(reason);
                else if (!broken) expect(reason).toBe(cancelAfter === null ? 'length' : reason);
                if (!throws) expect(ids).toEqual(expectedAnswer(prompt, completionTokens, vocabulary));
                expect(cachedTokens).toBeLessThan(prompt.length);
                if (!prefixCache) expect(cachedTokens).toBe(0);
                resolve();
              },
            };
            const { maxTokens, ...keys } = rest;
            const sequence = new Sequence(
              {
                promptIds: Int32Array.from(prompt),
                sampling: greedy,
                maxTokens,
                stopIds: [],
                stopStrings: [],
                ignoreEos: true,
                ...keys,
              },
              events,
              pieces,
              new Set(),
              prompt.length + maxTokens,
              () => scheduler.noticeCancel(),
            );
            scheduler.submit(sequence);
            if (cancelAfter !== null) {
              void (async () => {
                for (let i = 0; i < cancelAfter; i++) await turn();
                sequence.cancel();
              })();
            }
          });
          answers.push(answer);
        }
        await Promise.all(answers);
        await turn();
        const { active, queued, queuedTokens, kvUsed, kvCached } = scheduler.stats;
        expect({ active, queued, queuedTokens, kvUsed }).toEqual({
          active: 0,
          queued: 0,
          queuedTokens: 0,
          kvUsed: 0,
        });
        expect(context.used).toBe(kvCached);
        expect(scheduler.cache.prefixes().length).toBe(context.ids);
        scheduler.cache.clear();
        expect([context.used, context.ids, scheduler.stats.kvCached]).toEqual([0, 0, 0]);
      },
    ),
    { numRuns: 300 },
  );
});
