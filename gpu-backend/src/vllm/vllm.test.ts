/** The node's side of vLLM, against a double that says what the real one was recorded to say; that runs in .ci/peers. */
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ContinuationError, QueueFullError } from '../engine/errors.ts';
import { ask, greedy, type Running, start, tinyModel } from '../engine/testing/generate.ts';
import type { Engine, GenerationRequest } from '../engine/types.ts';
import { EngineLostError, EngineRestartingError } from '../engine-process/errors.ts';
import { UnsupportedFieldError, UpstreamStatusError } from '../upstream/errors.ts';
import type { UpstreamEngine } from '../upstream/upstream-engine.ts';
import { startVllmEngine } from './engine.ts';
import { recordedRefusal, recordedStream } from './testing/recorded.ts';
import { chunk, VllmDouble } from './testing/vllm-double.ts';

const log = pino({ level: 'silent' });
let vllm: VllmDouble;
let engine: UpstreamEngine;

async function attach(options: { slots?: number; maxQueue?: number } = {}): Promise<UpstreamEngine> {
  const url = await vllm.listen();
  return startVllmEngine({ modelPath: tinyModel, log, upstream: { url }, pollMs: 20, ...options });
}

beforeEach(async () => {
  vllm = new VllmDouble();
  engine = await attach();
});
afterEach(async () => {
  await engine.close();
  await vllm.die().catch(() => undefined);
});

const end = () => engine.info.tokens.end;
const generate = (request: Partial<GenerationRequest> = {}) =>
  start(engine as unknown as Engine, {
    promptIds: Int32Array.of(1, 5264, 100),
    ...request,
  }) as Running & { accepted: Promise<void> };
/** Ids of a text that the vocabulary spells. */
const spell = (text: string) => {
  // A stretch begins with a space, which a newline keeps apart from the text.
  const [before, all] = ['\n', `\n${text}`].map((one) => [...engine.tokenize([{ text: one }])]);
  return all!.slice(before!.length);
};
const answerWith = (...events: string[]) => {
  vllm.script = (_, response) => response.end(`${events.join('')}data: [DONE]\n\n`);
};

const state = async (wanted: 'ready' | 'restarting') => {
  while (engine.state !== wanted) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe('an answer', () => {
  it('as it was recorded: ids, log-probabilities, cached tokens, its end', async () => {
    vllm.script = (_, response) => response.end(recordedStream);
    const stopless = { ignoreEos: true, maxTokens: 4, logprobs: 2 };
    const answer = await generate(stopless).answer;
    expect(answer).toMatchObject({
      ...{ reason: 'length', text: '', ids: [5265, 5265, 5265, 5265] },
      ...{ promptTokens: 3, completionTokens: 4, cachedTokens: 0 },
    });
    const told = answer.details!.logprobs!;
    expect(told).toHaveLength(4);
    const likeliest = { token: '<|endofutterance|>', logprob: -0.08115055412054062, bytes: null };
    expect(told[0]).toMatchObject({
      ...likeliest,
      top_logprobs: [likeliest, { logprob: -3.8617472648620605 }],
    });
    expect(told[0]!.top_logprobs[1]!.bytes).not.toBeNull();
  });

  it('ends with the end marker, in whole characters however the ids come', async () => {
    const bytes = [...Buffer.from('𠮷')].map((byte) => 3 + byte);
    answerWith(chunk(bytes.slice(0, 2)), chunk(bytes.slice(2)), chunk([...spell('好'), end()], 'stop'));
    const answer = await generate({ maxTokens: 32 }).answer;
    expect(answer).toMatchObject({ reason: 'stop', text: '𠮷好', completionTokens: bytes.length + 2 });
    expect(answer.events.map(({ text }) => text)).toEqual(['𠮷', '好']);
    expect(answer.ids).toEqual([...bytes, ...spell('好'), end()]);
  });

  it('ends at a stop string, which vLLM is not told of, and then its connection is closed', async () => {
    const aborted = vllm.abort();
    vllm.script = (_, response) => response.write(chunk(spell('从一数到二，三')));
    const answer = await generate({ maxTokens: 100, stopStrings: ['，三'] }).answer;
    expect(answer).toMatchObject({ reason: 'stop', text: '从一数到二' });
    await aborted;
    expect(vllm.bodies[0]).not.toHaveProperty('stop');
  });

  it('that was cancelled, or whose deadline has passed, closes the connection', async () => {
    for (const [how, reason] of [
      [{}, 'cancelled'],
      [{ deadlineMs: 20 }, 'deadline'],
    ] as const) {
      const aborted = vllm.abort();
      vllm.script = (_, response) => response.write(chunk(spell('一')));
      const running = generate({ maxTokens: 100, ...how });
      await running.accepted;
      if (reason === 'cancelled') running.cancel();
      expect(await running.answer).toMatchObject({ reason });
      // A deadline may pass before the request has left: then there is nothing to close.
      if (reason === 'cancelled') await aborted;
      expect(engine.stats).toMatchObject({ active: 0, queued: 0 });
    }
  });
});

describe('a request', () => {
  it('goes as token ids, with every field in its words', async () => {
    const promptIds = ask(engine as unknown as Engine, '你好<|endofutterance|>');
    answerWith(chunk([end()], 'stop'));
    await generate({
      promptIds,
      sampling: {
        ...{ temperature: 0.8, top_p: 0.9, top_k: 40, min_p: 0.05, seed: 7 },
        ...{ repetition_penalty: 1.1, presence_penalty: 0.2, frequency_penalty: 0.3, typical_p: 1 },
        logit_bias: { '100': 5 },
      },
      ...{ maxTokens: 50, stopIds: [77, 999_999], minTokens: 3, logprobs: 5, priority: 4, tenant: 'a' },
    }).answer;
    const { cache_salt, ...body } = vllm.bodies[0];
    const { eos, begin } = engine.info.tokens;
    expect(body).toEqual({
      model: 'huozi',
      prompt: [...promptIds],
      ...{ temperature: 0.8, top_p: 0.9, top_k: 40, min_p: 0.05, seed: 7 },
      ...{ repetition_penalty: 1.1, presence_penalty: 0.2, frequency_penalty: 0.3 },
      ...{ max_tokens: 50, min_tokens: 3, logit_bias: { '100': 5 }, logprobs: 5, priority: -4 },
      stop_token_ids: [77, eos, begin, end()],
      ignore_eos: true,
      ...{ return_token_ids: true, return_tokens_as_token_ids: true, skip_special_tokens: false },
      ...{ stream: true, stream_options: { include_usage: true } },
    });
    expect(cache_salt).toMatch(/^[\w-]{43}$/);
    // What was typed is no marker.
    expect([...promptIds].filter((id) => id === end())).toHaveLength(1);
  });

  it('of another tenant has another salt, of the same the same', async () => {
    answerWith(chunk([end()], 'stop'));
    for (const tenant of ['a', 'b', 'a', undefined]) {
      await generate(tenant === undefined ? {} : { tenant }).answer;
    }
    const [a, b, again, none] = vllm.bodies.map(({ cache_salt }) => cache_salt);
    expect(again).toBe(a);
    expect(new Set([a, b, none]).size).toBe(3);
  });

  it('for what vLLM lacks is refused by its name', () => {
    const dry = { multiplier: 1, base: 1.75, allowed_length: 2, last_n: 0, sequence_breakers: [] };
    for (const [request, param] of [
      [{ sampling: { ...greedy, dry } }, 'sampling.dry'],
      [{ sampling: { ...greedy, typical_p: 0.5 } }, 'sampling.typical_p'],
      [{ grammar: { gbnf: 'root ::= "a"' }, continueIds: [100] }, 'continue_ids'],
    ] as const) {
      expect(() => generate(request)).toThrow(UnsupportedFieldError);
      expect(() => generate(request)).toThrow(expect.objectContaining({ param }));
    }
    expect(vllm.bodies).toEqual([]);
  });

  it('that vLLM refuses is refused with its reason', async () => {
    vllm.script = (_, response) => response.writeHead(400).end(recordedRefusal);
    const refused = generate().accepted;
    await expect(refused).rejects.toBeInstanceOf(UpstreamStatusError);
    await expect(refused).rejects.toThrow('Token id 999999 is out of vocabulary');
    vllm.script = (_, response) => response.writeHead(429, { 'retry-after': '2' }).end('{}');
    await expect(generate().accepted).rejects.toBeInstanceOf(QueueFullError);
    expect(engine.stats).toMatchObject({ active: 0, queued: 0 });
  });

  it('past the queue is refused here', async () => {
    await engine.close();
    await vllm.die();
    engine = await attach({ slots: 1, maxQueue: 1 });
    vllm.script = () => undefined;
    const running = [generate(), generate()];
    expect(engine.stats).toMatchObject({ active: 1, queued: 1, queuedTokens: 3 });
    expect(() => generate()).toThrow(QueueFullError);
    for (const one of running) one.cancel();
    await Promise.all(running.map(({ answer }) => answer));
  });

  it('carries no priority where vLLM has none, and the operator is told', async () => {
    await engine.close();
    await vllm.die();
    vllm.hasPriority = false;
    engine = await attach();
    answerWith(chunk([end()], 'stop'));
    await generate({ priority: 5 }).answer;
    expect(vllm.bodies[0]).not.toHaveProperty('priority');
    expect(engine.info.warnings.join()).toContain('--scheduling-policy priority');
  });
});

describe('an answer that goes on', () => {
  it('sends the ids so far as prompt, tells only what is new, and counts all', async () => {
    const before = spell('从一');
    answerWith(chunk(spell('数到二')), chunk([end()], 'stop'));
    const answer = await generate({ maxTokens: 20, minTokens: 4, continueIds: before }).answer;
    expect(answer).toMatchObject({ reason: 'stop', continued: '从一', text: '数到二' });
    expect(answer.completionTokens).toBe(answer.ids.length + before.length);
    const [body] = vllm.bodies;
    expect(body.prompt).toEqual([1, 5264, 100, ...before]);
    expect(body).toMatchObject({ max_tokens: 20 - before.length, min_tokens: 4 - before.length });
  });

  it('draws with another seed than from its beginning, and its penalties count what came before', async () => {
    const sampling = { ...greedy, temperature: 1, seed: 7, presence_penalty: 0.5, frequency_penalty: 0.25 };
    answerWith(chunk([end()], 'stop'));
    await generate({ sampling }).answer;
    await generate({ sampling, continueIds: [100, 101, 100] }).answer;
    const [whole, rest] = vllm.bodies;
    expect(whole.seed).toBe(7);
    expect(rest.seed).not.toBe(7);
    expect(whole).not.toHaveProperty('logit_bias');
    expect(rest.logit_bias).toEqual({ '100': -1, '101': -0.75 });
  });

  it('that was complete asks nothing; one that cannot have begun so is refused', async () => {
    expect(await generate({ continueIds: [100, end()] }).answer).toMatchObject({ reason: 'stop', ids: [] });
    expect(vllm.bodies).toEqual([]);
    expect(() => generate({ continueIds: [end(), 100] })).toThrow(ContinuationError);
  });
});

describe('a vLLM that dies', () => {
  it('ends its answers as lost, is refused work, and comes back', async () => {
    vllm.script = (_, response) => response.write(chunk(spell('一')));
    const lost = await new Promise<Awaited<ReturnType<typeof generate>['answer']>>((resolve) => {
      const running = start(
        engine as unknown as Engine,
        { promptIds: Int32Array.of(1, 100), maxTokens: 100 },
        () => void vllm.die(),
      );
      void running.answer.then(resolve);
    });
    expect(lost).toMatchObject({ reason: 'error', text: '一' });
    expect(lost.error).toBeInstanceOf(EngineLostError);
    await state('restarting');
    expect(() => generate()).toThrow(EngineRestartingError);
    await vllm.listen();
    await state('ready');
    answerWith(chunk([end()], 'stop'));
    expect(await generate().answer).toMatchObject({ reason: 'stop' });
  });

  it('an end without a reason is no end', async () => {
    answerWith(chunk(spell('一')));
    expect((await generate({ maxTokens: 9 }).answer).error).toBeInstanceOf(EngineLostError);
    answerWith(chunk(spell('一'), 'abort'));
    expect((await generate({ maxTokens: 9 }).answer).error).toBeInstanceOf(EngineLostError);
    answerWith(`data: {"error":{"message":"EngineCore encountered an issue","code":500}}\n\n`);
    const failed = (await generate({ maxTokens: 9 }).answer).error!;
    expect(failed).toBeInstanceOf(EngineLostError);
    // vLLM's words may quote the prompt; what is thrown here goes to the log.
    expect(failed.message).not.toContain('EngineCore');
  });
});

it('tells what its metrics say', async () => {
  vllm.metrics = vllm.metrics
    .replace('running{engine="0",model_name="huozi"} 0.0', 'running{engine="0",model_name="huozi"} 3.0')
    .replace('perc{engine="0",model_name="huozi"} 0.0', 'perc{engine="0",model_name="huozi"} 0.25');
  while (engine.stats.active !== 3) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(engine.stats).toMatchObject({
    ...{ kvTotal: 524_288, kvUsed: 131_072, steps: 484, prefillTokens: 2604, decodeTokens: 500 },
  });
  expect(engine.stats.answerSeconds).toBeCloseTo(25.376 / 27, 3);
  expect(engine.stats.prefillTokensPerSecond).toBeCloseTo(2604 / 20.136, 1);
  expect(engine.info).toMatchObject({ maxSequence: 4096, library: { version: 'vLLM 0.32.0' }, experts: 8 });
});
