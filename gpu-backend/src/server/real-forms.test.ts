/** Choices, log-probabilities and forms over HTTP, around the real engine and huozi-tiny. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadEngine } from '../engine/engine.ts';
import { createEvaluator } from '../engine/evaluate.ts';
import { loadModel } from '../engine/model.ts';
import { nodeDefaults } from '../index.ts';
import type { GenerateRequest, Segment } from '../protocol.ts';
import { createLog } from './log.ts';
import { type RunningNode, serveNode } from './node.ts';
import { generateBody, send, token } from './testing/client.ts';

const { modelPath } = nodeDefaults;
let node: RunningNode;

beforeAll(async () => {
  const engine = { modelPath, slots: 4, contextTokens: 4096, batchTokens: 256, threads: 1, gpuLayers: 0 };
  node = await serveNode(() => loadEngine(engine), {
    token,
    host: '127.0.0.1',
    port: 0,
    name: 'huozi',
    log: createLog('silent'),
  });
});
afterAll(() => node?.close());

const prompt: Segment[] = [
  { control: 'bos' },
  { control: 'begin' },
  { text: `用户\n${'这是很长的一段话。'.repeat(12)}背诵《静夜思》` },
  { control: 'end' },
  { text: '\n' },
  { control: 'begin' },
  { text: '助手\n' },
];

let count = 0;
type Body = Partial<Omit<GenerateRequest, 'events' | 'sampling'>> & {
  sampling?: Partial<GenerateRequest['sampling']>;
};

/** One body of JSON. */
async function whole({ sampling, ...body }: Body) {
  const request = generateBody({ prompt, ...body, events: { id: `forms-${++count}`, stream: false } });
  const answer = await send(node.url, '/v1/generate', {
    ...request,
    sampling: { ...request.sampling, ...sampling },
  });
  return (await answer.read().json()) as {
    choices: {
      message: {
        content: string | null;
        tool_calls?: { id: string; function: { name: string; arguments: string } }[];
      };
      finish_reason: string;
      logprobs: { content: { token: string; logprob: number; top_logprobs: { logprob: number }[] }[] } | null;
    }[];
    usage: {
      prompt_tokens: number;
      completion_tokens: number;
      prompt_tokens_details: { cached_tokens: number };
    };
  };
}

test('choices are what requests with the seeds after one another give, and the prompt is evaluated once', async () => {
  const sampling = { temperature: 1.2, seed: 4_294_967_294 };
  const { choices, usage } = await whole({ n: 3, sampling, max_tokens: 24 });
  const single = [];
  for (const seed of [4_294_967_294, 4_294_967_295, 0])
    single.push(await whole({ sampling: { ...sampling, seed }, max_tokens: 24 }));
  expect(choices.map(({ message }) => message.content)).toEqual(
    single.map(({ choices: [choice] }) => choice?.message.content),
  );
  expect(usage.prompt_tokens).toBe(single[0]?.usage.prompt_tokens);
  expect(usage.completion_tokens).toBe(single.reduce((sum, one) => sum + one.usage.completion_tokens, 0));
  const before = node.engine.stats.steps;
  // A prompt that no cache knows yet, in one choice and in four.
  const long = (text: string): Segment[] => [{ control: 'bos' }, { text: text.repeat(400) }];
  await whole({ prompt: long('甲乙'), max_tokens: 1 });
  const one = node.engine.stats.steps - before;
  await whole({ prompt: long('丙丁'), max_tokens: 1, n: 4 });
  expect(node.engine.stats.steps - before - one).toBeLessThan(2 * one);
});

test('log-probabilities are those of the model, whatever the sampling does', async () => {
  const sampling = {
    temperature: 0.7,
    top_p: 0.8,
    repetition_penalty: 1.2,
    logit_bias: { '300': 2 },
    seed: 3,
  };
  const { choices } = await whole({ logprobs: 4, sampling, max_tokens: 12, min_tokens: 12 });
  const told = choices[0]?.logprobs?.content ?? [];
  expect(told.length).toBeGreaterThan(5);
  for (const { logprob, top_logprobs } of told) {
    expect(logprob).toBeLessThanOrEqual(0);
    expect(top_logprobs).toHaveLength(4);
    const sum = top_logprobs.reduce((all, one) => all + Math.exp(one.logprob), 0);
    expect(sum).toBeLessThanOrEqual(1 + 1e-6);
  }
  const model = await loadModel(modelPath);
  const evaluator = await createEvaluator(model, 512, 1);
  try {
    const ids = await node.engine.tokenize(prompt);
    const { logits } = await evaluator.evaluate(ids);
    const row = logits.subarray((ids.length - 1) * model.vocabulary.texts.length);
    const best = row.reduce((a, b) => Math.max(a, b));
    const total = best + Math.log(row.reduce((all, logit) => all + Math.exp(logit - best), 0));
    expect(told[0]?.top_logprobs[0]?.logprob).toBeCloseTo(best - total, 1);
  } finally {
    evaluator.close();
    model.native.free();
  }
});

test('a tool that must be called is called with valid arguments', async () => {
  const tool = (name: string) => ({
    name,
    parameters: { type: 'object', properties: { city: { enum: ['北京', '上海'] } }, required: ['city'] },
  });
  for (const choice of ['required' as const, { name: 'g' }]) {
    const format = { type: 'tools' as const, tools: [tool('f'), tool('g')], choice, parallel: false };
    const { choices } = await whole({ format, max_tokens: 120, sampling: { temperature: 1, seed: 9 } });
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
    const [call, ...more] = choices[0]?.message.tool_calls ?? [];
    expect(more).toEqual([]);
    expect(choice === 'required' ? ['f', 'g'] : ['g']).toContain(call?.function.name);
    const { city } = JSON.parse(call?.function.arguments ?? '') as { city: string };
    expect(['北京', '上海']).toContain(city);
  }
});

test('a schema holds over HTTP', async () => {
  const schema = {
    type: 'object',
    properties: { n: { type: 'integer', minimum: 10, maximum: 12 } },
    required: ['n'],
  };
  const { choices } = await whole({ format: { type: 'json_schema', schema }, max_tokens: 80 });
  expect(choices[0]?.finish_reason).toBe('stop');
  expect(JSON.parse(choices[0]?.message.content ?? '')).toEqual({
    n: expect.toSatisfy((n: number) => n >= 10 && n <= 12),
  });
});
