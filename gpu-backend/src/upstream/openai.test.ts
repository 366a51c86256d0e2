/** Any completions server behind this node, as a double; the real `transformers serve` runs in .ci/peers. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { GenerationEnd, GenerationRequest } from '../engine/types.ts';
import { UnsupportedFieldError } from './errors.ts';
import { type Asked, connect, double, event, generate, greedy, prompt, written } from './testing/double.ts';

describe('a completions server', () => {
  const chunk = (text: string, finish_reason: string | null = null) =>
    event({ choices: [{ index: 0, text, finish_reason }] });

  /** @param refuses what this server does not take */
  async function start(stream: string, refuses: (body: Asked['body']) => boolean = () => false) {
    const served = await double(({ path, body, response }) => {
      if (path === '/v1/models') response.end('{"data":[{"id":"theirs"}]}');
      else if (refuses(body)) response.writeHead(422).end('{"error":"no"}');
      else response.end(body.stream ? `${stream}data: [DONE]\n\n` : '{"choices":[{"text":"好"}]}');
    });
    return { served, engine: await connect('openai', served.url) };
  }

  it('that takes ids gets ids, with the fields that it takes', async () => {
    const { served, engine } = await start(chunk('好') + chunk('', 'stop'));
    const answer = await generate(engine, { sampling: { ...greedy, top_k: 5 } });
    expect(answer).toMatchObject({
      text: '好',
      ids: [],
      position: 1,
      end: { reason: 'stop', completionTokens: 1 },
    });
    const { body, headers } = served.asked.at(-1)!;
    expect(headers.authorization).toBe('Bearer k');
    expect(body.prompt).toEqual([...engine.tokenize(prompt)]);
    expect(body).toMatchObject({ model: 'theirs', top_k: 5, skip_special_tokens: false });
  });

  it('that takes neither gets the neutralised text, and is not asked for what it may not know', async () => {
    const strict = (body: Asked['body']) => typeof body.prompt !== 'string' || 'skip_special_tokens' in body;
    const { served, engine } = await start(chunk('好') + chunk('', 'length'), strict);
    expect((await generate(engine)).end.reason).toBe('length');
    expect(served.asked.at(-1)!.body.prompt).toBe(written);
    await expect(generate(engine, { sampling: { ...greedy, top_k: 5 } })).rejects.toMatchObject({
      name: 'UnsupportedFieldError',
      param: 'sampling.top_k',
    });
  });

  it('of transformers serve: a stream without [DONE], and fields that it only seems to have', async () => {
    const strict = (body: Asked['body']) => typeof body.prompt !== 'string' || 'skip_special_tokens' in body;
    const served = await double(({ path, body, response }) => {
      if (path === '/v1/models') response.end('{"data":[{"id":"theirs"}]}');
      else if (strict(body))
        response.writeHead(422).end('{"detail":"Unexpected fields in the request: {\'top_k\'}"}');
      else response.end(body.stream ? chunk('好') + chunk('', 'stop') : '{"choices":[{"text":"好"}]}');
    });
    const engine = await connect('openai', served.url);
    // Of the large model: what its users send stops nothing here, and is no reason to refuse.
    expect((await generate(engine, { stopIds: [57_001] })).end.reason).toBe('stop');
    expect(await generate(engine)).toMatchObject({ text: '好', end: { reason: 'stop' } });
    for (const [field, value] of [
      ['presence_penalty', 1],
      ['frequency_penalty', 1],
      ['logit_bias', { 9: 2 }],
    ] as const) {
      await expect(generate(engine, { sampling: { ...greedy, [field]: value } })).rejects.toMatchObject({
        name: 'UnsupportedFieldError',
        param: `sampling.${field}`,
      });
    }
  });

  it('of transformers serve is asked for one answer at a time, since all draw from one generator', async () => {
    const strict = (body: Asked['body']) => typeof body.prompt !== 'string' || 'skip_special_tokens' in body;
    const running = new Set<ServerResponse>();
    let most = 0;
    const served = await double(async ({ path, body, response }) => {
      if (path === '/v1/models') return response.end('{"data":[{"id":"theirs"}]}');
      if (strict(body))
        return response.writeHead(422).end('{"detail":"Unexpected fields in the request: {}"}');
      // As its one thread: in order.
      const before = [...running].map((one) => once(one, 'close'));
      running.add(response);
      response.on('close', () => running.delete(response));
      if (body.stream) most = Math.max(most, running.size);
      await Promise.all(before);
      if (!body.stream) return response.end('{"choices":[{"text":"好"}]}');
      response.write(chunk('好'));
      if (body.seed !== 3) setImmediate(() => response.end(chunk('', 'stop')));
    });
    const engine = await connect('openai', served.url);
    expect(engine.stats.slots).toBe(1);
    const before = served.asked.length;
    const seeded = (seed: number, stopStrings: string[] = []) =>
      generate(engine, { sampling: { ...greedy, temperature: 1, seed }, stopStrings });
    // The third never ends by itself, and is broken off: what it may still draw is over before the next.
    const ends = await Promise.all([seeded(1), seeded(2), seeded(3, ['好']), seeded(4)]);
    expect(ends.map(({ end }) => end.reason)).toEqual(['stop', 'stop', 'stop', 'stop']);
    expect(most).toBe(1);
    expect(served.asked.slice(before).map(({ body }) => [body.seed, body.stream, body.max_tokens])).toEqual([
      [1, true, 20],
      [2, true, 20],
      [3, true, 20],
      [1, false, 1],
      [4, true, 20],
    ]);
  });

  it('that goes past the end is stopped there', async () => {
    const { engine } = await start(chunk('好<|endof') + chunk('utterance|>坏') + chunk('坏', 'length'));
    expect(await generate(engine)).toMatchObject({ text: '好', end: { reason: 'stop' } });
  });

  it('that says nothing until its first token has taken the request all the same', async () => {
    let answer = () => {};
    const served = await double(({ path, body, response }) => {
      if (path === '/v1/models') response.end('{"data":[{"id":"theirs"}]}');
      else if (!body.stream) response.end('{"choices":[{"text":"好"}]}');
      else answer = () => response.end(`${chunk('好') + chunk('', 'stop')}data: [DONE]\n\n`);
    });
    const engine = await connect('openai', served.url);
    const end = await new Promise<GenerationEnd>((resolve, reject) => {
      const request = { promptIds: engine.tokenize(prompt), sampling: greedy, maxTokens: 20 };
      const ends = { stopIds: [], stopStrings: [], ignoreEos: false };
      const generation = engine.generate({ ...request, ...ends }, { onText: () => {}, onEnd: resolve });
      generation.accepted!.then(() => answer(), reject);
    });
    expect(end.reason).toBe('stop');
  });

  it('that fails on the way, or ends without a reason, gives no answer', async () => {
    const failing = await start(chunk('好') + event({ error: { message: 'no memory for 静夜思' } }));
    const { end } = await generate(failing.engine);
    expect(end.reason).toBe('error');
    expect(end.error!.message).not.toContain('静夜思');
    const silent = await start(chunk('好'));
    expect((await generate(silent.engine)).end.reason).toBe('error');
  });

  it('that refuses because it failed has its words kept out of the error, which is logged', async () => {
    const served = await double(({ path, body, response }) => {
      if (path === '/v1/models') response.end('{"data":[{"id":"theirs"}]}');
      else if (body.stream) response.writeHead(500).end('{"error":{"message":"no memory for 静夜思"}}');
      else response.end('{"choices":[{"text":"好"}]}');
    });
    const refusal = await generate(await connect('openai', served.url)).catch((thrown) => thrown);
    expect(refusal).toMatchObject({ name: 'UpstreamStatusError', status: 500 });
    expect(refusal.message).not.toContain('静夜思');
  });

  it.each<[string, Partial<GenerationRequest>]>([
    ['logprobs', { logprobs: 1 }],
    ['format', { grammar: { gbnf: 'root ::= "a"' } }],
    ['continue_ids', { continueIds: [500] }],
    ['min_tokens', { minTokens: 2 }],
    ['ignore_eos', { ignoreEos: true }],
    ['stop_token_ids', { stopIds: [500] }],
    ['sampling.typical_p', { sampling: { ...greedy, typical_p: 0.5 } }],
  ])('has no %s: said before anything is sent', async (param, fields) => {
    const { served, engine } = await start('');
    const before = served.asked.length;
    const error = await generate(engine, fields).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(UnsupportedFieldError);
    expect(error.param).toBe(param);
    expect(served.asked.filter(({ path }) => path === '/v1/completions').length).toBeLessThanOrEqual(before);
  });
});
