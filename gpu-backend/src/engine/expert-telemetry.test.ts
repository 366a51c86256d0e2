/** Routed experts from the running engine, checked against an evaluation of the whole text in one piece. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExpertTelemetry } from '../protocol.ts';
import { loadEngine } from './engine.ts';
import { createEvaluator, type Evaluator } from './evaluate.ts';
import { ExpertCounts } from './expert-counts.ts';
import { loadModel, type Model } from './model.ts';
import { StepExperts } from './step-experts.ts';
import { type Answer, ask, greedy, questions, start, tinyModel } from './testing/generate.ts';
import type { Engine, EngineOptions } from './types.ts';

const options: EngineOptions = {
  modelPath: tinyModel,
  slots: 8,
  contextTokens: 2048,
  batchTokens: 64,
  threads: 1,
};

describe('of single requests', () => {
  let engine: Engine;
  let model: Model;
  let evaluator: Evaluator;
  beforeAll(async () => {
    engine = await loadEngine({ ...options, expertTelemetry: 'off' });
    model = await loadModel(tinyModel);
    evaluator = await createEvaluator(model, 512, 1);
  });
  afterAll(async () => {
    evaluator.close();
    model.native.free();
    await engine.close();
  });

  const expertsOf = ({ events, details }: Answer) =>
    [...events.map((event) => event.details), details].flatMap((one) => [...(one?.experts ?? [])]);

  /** Share of an answer's experts that the evaluation finds, too: rounding turns near-ties, here and there. */
  async function agreement(promptIds: Int32Array, answer: Answer): Promise<number> {
    const { layers, expertsUsed: used } = engine.info;
    const told = expertsOf(answer);
    expect(told.length).toBe(answer.completionTokens * layers * used);
    const ids = [...promptIds, ...answer.ids].slice(0, -1);
    const { experts } = await evaluator.evaluate(Int32Array.from(ids));
    let same = 0;
    for (let token = 0; token < answer.completionTokens; token++) {
      for (let layer = 0; layer < layers; layer++) {
        const at = (promptIds.length - 1 + token) * used;
        const row = told.slice((token * layers + layer) * used, (token * layers + layer + 1) * used);
        expect(new Set(row).size).toBe(used);
        if (row.every((expert, i) => expert === experts[layer]?.[at + i])) same++;
      }
    }
    return same / (answer.completionTokens * layers);
  }

  test('alone: those that the position before each token goes through', async () => {
    const promptIds = ask(engine, '从1数到20');
    const answer = await start(engine, { promptIds, returnExperts: true, maxTokens: 40 }).answer;
    expect(answer.completionTokens).toBeGreaterThan(10);
    expect(await agreement(promptIds, answer)).toBeGreaterThan(0.95);
  });

  test('in company, joining at different times, some asking and some not', async () => {
    const running = questions.map((question, i) => {
      const promptIds = ask(engine, question.repeat(1 + (i % 3) * 4));
      const sampling = { ...greedy, temperature: i % 2, seed: i };
      const returnExperts = i % 3 !== 1;
      const request = { promptIds, sampling, maxTokens: 12 + 3 * i, ignoreEos: true, returnExperts };
      return { promptIds, returnExperts, ...start(engine, request) };
    });
    for (const { promptIds, returnExperts, answer } of running) {
      if (returnExperts) expect(await agreement(promptIds, await answer)).toBeGreaterThan(0.9);
      else expect(expertsOf(await answer)).toEqual([]);
    }
  });

  test('asking changes nothing in the answer, and nothing was counted meanwhile', async () => {
    const promptIds = ask(engine, '背诵《静夜思》');
    const asking = await start(engine, { promptIds, returnExperts: true }).answer;
    const not = await start(engine, { promptIds }).answer;
    expect(asking.ids).toEqual(not.ids);
    const { mode, steps, steps_sampled, tokens_sampled, sampling_cost } = await engine.expertTelemetry();
    expect({ mode, steps_sampled, tokens_sampled, sampling_cost }).toEqual({
      mode: 'off',
      steps_sampled: 0,
      tokens_sampled: 0,
      sampling_cost: 0,
    });
    expect(steps).toBe(engine.stats.steps);
  });
});

test('of some steps: counts that add up, of all layers, also from prefill in several micro-batches', async () => {
  const engine = await loadEngine({ ...options, batchTokens: 1024 });
  const check = ({ layers, ...told }: ExpertTelemetry) => {
    expect(told).toMatchObject({ mode: 'sampled', experts: 8, experts_used: 2 });
    expect(layers.length).toBe(engine.info.layers);
    for (const { tokens, counts, co_activation, entropy, imbalance } of layers) {
      expect(counts.reduce((sum, n) => sum + n, 0)).toBe(2 * tokens);
      expect(co_activation.map((row, i) => row[i])).toEqual(counts);
      for (const [i, row] of co_activation.entries()) {
        expect(row).toEqual(co_activation.map((other) => other[i]));
        // Each of its tokens went to one other expert.
        expect(row.reduce((sum, n) => sum + n, 0)).toBe(2 * (counts[i] ?? 0));
      }
      expect(entropy).toBeGreaterThan(1);
      expect(entropy).toBeLessThanOrEqual(3);
      expect(imbalance).toBeGreaterThanOrEqual(1);
    }
    // All but the last compute every position.
    expect(new Set(layers.slice(0, -1).map(({ tokens }) => tokens))).toEqual(new Set([told.tokens_sampled]));
    expect(layers.at(-1)?.tokens).toBeLessThanOrEqual(told.tokens_sampled);
  };
  try {
    expect(await engine.expertTelemetry()).toMatchObject({ steps: 0, steps_sampled: 0, tokens_sampled: 0 });
    // Asked for, steps are looked into whatever the budget says: prompts of two micro-batches among them.
    const long = ask(engine, questions.join('').repeat(12)).subarray(0, 700);
    await start(engine, { promptIds: long, maxTokens: 1, ignoreEos: true, returnExperts: true }).answer;
    const asked = await engine.expertTelemetry();
    expect(asked.steps_sampled).toBe(1);
    expect(asked.tokens_sampled).toBe(long.length);
    expect(asked.layers.at(-1)?.tokens).toBeLessThan(asked.tokens_sampled);
    expect(asked.sampling_cost).toBe(0);

    for (let round = 0; round < 6; round++) {
      const running = questions.map((question) =>
        start(engine, { promptIds: ask(engine, question), maxTokens: 100, ignoreEos: true }),
      );
      await Promise.all(running.map(({ answer }) => answer));
    }
    const told = await engine.expertTelemetry();
    check(told);
    expect(told.steps_sampled).toBeGreaterThan(1);
    expect(told.steps_sampled).toBeLessThan(told.steps / 4);
    expect(told.sampling_cost).toBeGreaterThan(0);
  } finally {
    await engine.close();
  }
}, 60_000);

test('counts of a layer, by hand', () => {
  const counts = new ExpertCounts(4);
  counts.add(Uint8Array.of(0, 1, 0, 2, 1, 0, 9, 9), 3, 2);
  expect(counts.toJSON()).toEqual({
    tokens: 3,
    counts: [3, 2, 1, 0],
    entropy: expect.closeTo(0.5 + (1 / 3) * Math.log2(3) + (1 / 6) * Math.log2(6)),
    imbalance: 2,
    co_activation: [
      [3, 2, 1, 0],
      [2, 2, 0, 0],
      [1, 0, 1, 0],
      [0, 0, 0, 0],
    ],
  });
  expect(new ExpertCounts(2).toJSON()).toMatchObject({ entropy: 0, imbalance: 1 });
});

test('a step that was not seen whole gives nothing', () => {
  const step = new StepExperts(2, 2, 4);
  step.begin();
  step.add(0, Int32Array.of(1, 2, 3, 4, 5, 6));
  expect(step.of(2, 0, 3)).toBeUndefined();
  step.add(1, Int32Array.of(7, 0));
  expect(step.of(2, 0, 3)).toEqual(Uint8Array.of(5, 6, 7, 0));
  expect(step.of(1, 1, 3)).toBeUndefined();
  step.begin();
  expect(step.of(0, 0, 1)).toBeUndefined();
});
