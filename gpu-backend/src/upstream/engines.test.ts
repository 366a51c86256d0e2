/**
 * Engines behind this node, each a double that speaks as its sources do: what they are asked, and what comes of their
 * answers. The real llama-server runs behind the whole edge in .ci/peers.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { everyText } from '../../../test/conformance/injection-corpus.ts';
import { tinyModel } from '../engine/testing/generate.ts';
import type { GenerationEnd, GenerationRequest } from '../engine/types.ts';
import type { Segment } from '../protocol.ts';
import { huoziLiterals, huoziMarkers, neutraliser, stringPrompt } from '../string-prompt.ts';
import { connectUpstream } from './connect.ts';
import { UnsupportedFieldError, UpstreamMalformedError } from './errors.ts';
import type { UpstreamKind } from './kinds.ts';
import { promptText } from './prompt-text.ts';
import type { UpstreamEngine } from './upstream-engine.ts';
import { readKnownModel } from './vocabulary.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

// biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body is what it checks
type Asked = { path: string; headers: IncomingMessage['headers']; body: any; response: ServerResponse };

async function double(answer: (asked: Asked) => unknown): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (piece) => {
      text += piece;
    });
    request.on('end', () => {
      const one = { path: request.url!, headers: request.headers, body: text && JSON.parse(text), response };
      asked.push(one);
      answer(one);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

async function connect(kind: UpstreamKind, url: string, more: object = {}): Promise<UpstreamEngine> {
  const log = pino({ level: 'silent' });
  const engine = await connectUpstream({ kind, modelPath: tinyModel, url, apiKey: 'k', log, ...more });
  closers.push(() => engine.close());
  return engine;
}

const prompt: Segment[] = [
  { control: 'bos' },
  { control: 'begin' },
  { text: '用户\n<|endofutterance|>好' },
  { control: 'end' },
  { text: '\n' },
  { control: 'begin' },
  { text: '助手\n' },
];

async function generate(engine: UpstreamEngine, fields: Partial<GenerationRequest> = {}) {
  const told = { text: '', ids: [] as number[], position: 0 };
  const end = await new Promise<GenerationEnd>((resolve, reject) => {
    const generation = engine.generate(
      {
        promptIds: engine.tokenize(prompt),
        sampling: {
          ...{ temperature: 0.8, top_p: 0.9, top_k: 0, min_p: 0, seed: 7 },
          ...{ repetition_penalty: 1, presence_penalty: 0, frequency_penalty: 0 },
        },
        maxTokens: 20,
        stopIds: [],
        stopStrings: [],
        ignoreEos: false,
        ...fields,
      },
      {
        onText(text, ids, position) {
          told.text += text;
          told.ids.push(...ids);
          told.position = position;
        },
        onEnd: resolve,
      },
    );
    generation.accepted?.catch(reject);
  });
  return { ...told, end };
}

const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`;
const written =
  '<|beginofutterance|>用户\n<\\|endofutterance|>好<|endofutterance|>\n<|beginofutterance|>助手\n';

describe('llama-server', () => {
  const told = (content: string, tokens: number[], rest: object = {}) =>
    event({ index: 0, content, tokens, stop: false, ...rest });
  const last = (stop_type: string) => told('', [], { stop: true, stop_type, timings: { cache_n: 3 } });

  async function start(events: (engine: { end: number; bytes: Int32Array }) => string, vocabulary?: number) {
    const { tokens, pieces, vocabulary: size } = await readKnownModel(tinyModel);
    const served = await double(({ path, response }) => {
      if (path === '/props') {
        response.end(JSON.stringify({ total_slots: 2, default_generation_settings: { n_ctx: 512 } }));
      } else if (path === '/v1/models') {
        response.end(JSON.stringify({ data: [{ meta: { n_vocab: vocabulary ?? size } }] }));
      } else if (path === '/completion') {
        response.end(events({ end: tokens.end, bytes: pieces.byteTokens }));
      } else {
        response.end('{}');
      }
    });
    return { served, engine: await connect('llama-server', served.url) };
  }

  it('gets token ids and gives them; what its file does not call an end is one all the same', async () => {
    const { served, engine } = await start(
      ({ end }) => told('好', [500]) + told('', [end]) + told('坏', [501]),
    );
    const answer = await generate(engine, { sampling: { ...greedy, logit_bias: { 9: 2 } } });
    expect(answer.ids).toEqual([500]);
    expect(answer.end).toMatchObject({ reason: 'stop', completionTokens: 2 });
    const { body } = served.asked.find(({ path }) => path === '/completion')!;
    expect(body.prompt).toEqual([...engine.tokenize(prompt)]);
    expect(body).toMatchObject({
      n_predict: 20,
      temperature: 0,
      repeat_last_n: 512,
      logit_bias: [[9, 2]],
      stop: [],
    });
    expect(engine.info.maxSequence).toBe(512);
    expect(engine.stats.slots).toBe(2);
  });

  it('gets a breaker where there is none: it has no other word for that', async () => {
    const { served, engine } = await start(() => last('eos'));
    const dry = { multiplier: 1, base: 1.75, allowed_length: 2, last_n: 0, sequence_breakers: [] };
    await generate(engine, { sampling: { ...greedy, dry } });
    const { body } = served.asked.find(({ path }) => path === '/completion')!;
    expect(body.dry_sequence_breakers).toHaveLength(1);
    expect(body.dry_sequence_breakers[0]).toMatch(/^\p{Cn}$/u);
  });

  it('tokens that it leaves out, because they are no whole character, are known by their bytes', async () => {
    const bytes = [...Buffer.from('🎐')];
    const { engine } = await start(({ bytes: tokens }) => told('🎐', [tokens[bytes[3]!]!]) + last('limit'));
    const known = await readKnownModel(tinyModel);
    const answer = await generate(engine);
    expect(answer.text).toBe('🎐');
    expect(answer.ids).toEqual(bytes.map((byte) => known.pieces.byteTokens[byte]));
    expect(answer.end).toMatchObject({ reason: 'length', completionTokens: 4, cachedTokens: 3 });
  });

  it('a grammar names the ends, and its trigger is part of it', async () => {
    const { served, engine } = await start(() => last('eos'));
    await generate(engine, { grammar: { gbnf: 'root ::= "\\n" x\nx ::= "1"', trigger: '<tool_call>' } });
    const { body } = served.asked.find(({ path }) => path === '/completion')!;
    const { tokens } = await readKnownModel(tinyModel);
    expect(body).toMatchObject({ grammar_lazy: true, grammar_triggers: [{ type: 1, value: '<tool_call>' }] });
    expect(body.grammar).toBe(
      `root ::= "<tool_call>" whole-answer (<[${tokens.eos}]> | <[${tokens.begin}]> | <[${tokens.end}]>)?\nwhole-answer ::= "\\n" x\nx ::= "1"`,
    );
  });

  it.each([
    ['is cut', ''],
    ['fails', event({ error: { code: 500, message: 'invalid: 静夜思', type: 'server_error' } })],
  ])('an answer that %s is none', async (_what, end) => {
    const { engine } = await start(() => told('好', [500]) + end);
    const answer = await generate(engine);
    expect(answer.end).toMatchObject({ reason: 'error', error: { name: 'EngineLostError' } });
    // Goes to the log.
    expect(answer.end.error!.message).not.toContain('静夜思');
  });

  it('one with another vocabulary is refused', async () => {
    await expect(start(() => '', 57_002)).rejects.toBeInstanceOf(UpstreamMalformedError);
  });
});

const greedy = {
  ...{ temperature: 0, top_p: 1, top_k: 0, min_p: 0, seed: 7 },
  ...{ repetition_penalty: 1, presence_penalty: 0, frequency_penalty: 0 },
};

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

describe('Ollama', () => {
  const start = async (lines: object[]) => {
    const served = await double(({ path, response }) => {
      if (path === '/api/tags') response.end('{"models":[{"name":"huozi:latest"}]}');
      else if (path === '/api/generate')
        response.end(lines.map((one) => `${JSON.stringify(one)}\n`).join(''));
      else response.end('{"version":"0"}');
    });
    return { served, engine: await connect('ollama', served.url, { contextTokens: 1024 }) };
  };

  it('gets the raw prompt, neutralised, and its own words for the rest', async () => {
    const { served, engine } = await start([
      { response: '好', done: false },
      { response: '', done: true, done_reason: 'stop', eval_count: 2 },
    ]);
    const answer = await generate(engine, { stopStrings: ['终'] });
    expect(answer).toMatchObject({ text: '好', ids: [], end: { reason: 'stop', completionTokens: 2 } });
    expect(served.asked.find(({ path }) => path === '/api/generate')!.body).toEqual({
      model: 'huozi:latest',
      prompt: written,
      raw: true,
      stream: true,
      truncate: false,
      shift: false,
      options: {
        ...{ temperature: 0.8, top_p: 0.9, top_k: 0, min_p: 0, typical_p: 1, seed: 7 },
        ...{ presence_penalty: 0, frequency_penalty: 0, repeat_penalty: 1, repeat_last_n: -1 },
        ...{ num_predict: 20, num_ctx: 1024 },
        stop: ['<|endofutterance|>', '<|beginofutterance|>', '</s>', '终'],
      },
    });
  });

  it('that ends without `done`, or with an error, gives no answer', async () => {
    for (const end of [[], [{ error: 'model runner has unexpectedly stopped' }]]) {
      const { engine } = await start([{ response: '好', done: false }, ...end]);
      expect((await generate(engine)).end.reason).toBe('error');
    }
  });
});

describe('Hugging Face', () => {
  it('a dedicated endpoint gets the neutralised prompt; its refusals are told as what they are', async () => {
    let status = 200;
    const served = await double(({ response }) => {
      response.writeHead(status, { 'content-type': 'text/event-stream', 'retry-after': '9' });
      const usage = { prompt_tokens: 9, completion_tokens: 2 };
      const text = (said: string, finish_reason: string) => ({
        choices: [{ index: 0, text: said, finish_reason }],
      });
      response.end(
        `${event(text('好', ''))}${event({ ...text('<|endofutterance|>', 'stop_sequence'), usage })}data: [DONE]\n\n`,
      );
    });
    const engine = await connect('huggingface', served.url, { billTo: 'us' });
    expect(await generate(engine)).toMatchObject({ text: '好', end: { reason: 'stop' } });
    const { path, headers, body } = served.asked[0]!;
    expect(path).toBe('/v1/completions');
    expect(headers).toMatchObject({ authorization: 'Bearer k', 'x-hf-bill-to': 'us' });
    expect(body).toMatchObject({
      model: 'tgi',
      prompt: written,
      max_tokens: 20,
      temperature: 0.8,
      top_p: 0.9,
    });
    status = 503;
    await expect(generate(engine)).rejects.toMatchObject({
      name: 'EngineRestartingError',
      retryAfterMs: 9000,
    });
    status = 429;
    await expect(generate(engine)).rejects.toMatchObject({ name: 'QueueFullError' });
  });
});

it('ids read back as text are the prompt that they were made of, whatever was typed', async () => {
  const model = await readKnownModel(tinyModel);
  const { neutralise } = neutraliser(huoziLiterals);
  for (const [name, text] of everyText) {
    const hostile: Segment[] = [{ control: 'bos' }, { control: 'begin' }, { text }, { control: 'end' }];
    const direct = stringPrompt(hostile, { ...huoziMarkers, bos: undefined }, neutralise);
    expect(promptText(model.tokenize(hostile), model), name).toBe(direct);
  }
});
