/** Everything the node refuses before the first byte: status, OpenAI's shape, the field that is wrong. */
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { EngineClosedError, QueueFullError } from '../engine/errors.ts';
import type { Engine } from '../engine/types.ts';
import { generateRequest } from '../protocol.ts';
import { serveNode } from './node.ts';
import { generateBody, send, token } from './testing/client.ts';
import { ScriptedEngine } from './testing/scripted-engine.ts';
import { startTestNode } from './testing/start.ts';

type Send = Parameters<typeof send>;

/** A node that loads tells where it listens only through its log. */
function catchUrl() {
  const sink = new PassThrough({ encoding: 'utf8' });
  const listening = new Promise<string>((resolve) => {
    sink.on('data', (line: string) => {
      const { url } = JSON.parse(line) as { url?: string };
      if (url) resolve(url);
    });
  });
  return { logger: pino({}, sink), listening };
}

async function refusal(...args: Send) {
  const answer = (await send(...args)).read();
  const { error } = (await answer.json()) as { error: Record<string, unknown> };
  return { status: answer.status, headers: answer.response.headers, message: error.message, ...error };
}

test('a field that is wrong is a 400 that names it', async () => {
  const { url } = await startTestNode();
  const body = generateBody();
  const cases: [param: string, body: unknown][] = [
    ['prompt', { ...body, prompt: [] }],
    ['prompt', { ...body, prompt: [{ text: '' }] }],
    ['prompt.1.text', { ...body, prompt: [{ control: 'bos' }, { text: 5 }] }],
    ['prompt.0.control', { ...body, prompt: [{ control: 'eos' }] }],
    ['prompt.0', { ...body, prompt: ['<|endofutterance|>'] }],
    ['sampling.temperature', { ...body, sampling: { ...body.sampling, temperature: 3 } }],
    ['sampling.seed', { ...body, sampling: { ...body.sampling, seed: undefined } }],
    ['sampling.warmth', { ...body, sampling: { ...body.sampling, warmth: 1 } }],
    ['max_tokens', { ...body, max_tokens: 0 }],
    ['stop.0', { ...body, stop: [''] }],
    ['stop_token_ids.1', { ...body, stop_token_ids: [1, 1.5] }],
    ['ignore_eos', { ...body, ignore_eos: 'no' }],
    ['events.role', { ...body, events: { ...body.events, role: '<|beginofutterance|>' } }],
    ['events.id', { ...body, events: { ...body.events, id: 'a\nb' } }],
    ['messages', { ...body, messages: [] }],
  ];
  for (const [param, bad] of cases) {
    expect(await refusal(url, '/v1/generate', bad), param).toMatchObject({
      status: 400,
      type: 'invalid_request_error',
      param,
      code: 'invalid_value',
      message: expect.any(String),
    });
  }
});

test('a body that is no object, no JSON, or too large', async () => {
  const { url, logged } = await startTestNode();
  expect(await refusal(url, '/v1/generate', '[]')).toMatchObject({ status: 400, param: null });
  expect(await refusal(url, '/v1/generate', '{"secret words"')).toMatchObject({
    status: 400,
    code: 'invalid_json',
    message: 'The body is not valid JSON.',
  });
  expect(await refusal(url, '/v1/generate', '')).toMatchObject({ status: 400, code: 'invalid_json' });
  const large = generateBody({ prompt: [{ text: 'x'.repeat(4 * 1024 * 1024) }] });
  const bytes = String(Buffer.byteLength(JSON.stringify(large)));
  for (const headers of [{ 'content-length': bytes }, { 'transfer-encoding': 'chunked' }]) {
    expect(
      await refusal(url, '/v1/generate', large, { headers: headers as Record<string, string> }),
    ).toMatchObject({ status: 413, code: 'request_too_large' });
  }
  expect(JSON.stringify(logged())).not.toContain('secret');
});

test('a prompt that leaves no room for an answer: both numbers', async () => {
  const { url } = await startTestNode();
  expect(
    await refusal(url, '/v1/generate', generateBody({ prompt: [{ text: 'x'.repeat(120) }] })),
  ).toMatchObject({
    status: 400,
    code: 'context_length_exceeded',
    param: 'prompt',
    message: expect.stringMatching(/\b100\b.*\b120\b/),
  });
});

test('an engine that is closed is a 503, one that breaks a vague 500', async () => {
  const { url, engine, logged } = await startTestNode();
  engine.refusal = new EngineClosedError();
  expect(await refusal(url, '/v1/generate', generateBody())).toMatchObject({
    status: 503,
    type: 'server_error',
    headers: { 'retry-after': '5' },
  });
  engine.refusal = new Error('ggml_abort: secret detail');
  const broken = await refusal(url, '/v1/generate', generateBody());
  expect(broken).toMatchObject({ status: 500, type: 'server_error', code: 'internal_error' });
  expect(broken.message).not.toContain('secret');
  expect(JSON.stringify(logged())).toContain('secret detail');
});

test('the token: missing, wrong, of another scheme; without it nothing is told', async () => {
  const { url, engine } = await startTestNode();
  const wrong = [null, 'x', `${token}x`, token.slice(1), token.slice(0, -1), token.toUpperCase()];
  for (const bad of wrong) {
    expect(await refusal(url, '/v1/node', undefined, { token: bad })).toMatchObject({
      status: 401,
      code: 'invalid_api_key',
      headers: { 'www-authenticate': 'Bearer' },
    });
  }
  const basic = { authorization: `Basic ${token}` };
  expect(await refusal(url, '/v1/node', undefined, { token: null, headers: basic })).toMatchObject({
    status: 401,
  });
  expect(await refusal(url, '/v1/generate', generateBody(), { token: null })).toMatchObject({ status: 401 });
  expect(await refusal(url, '/v1/other', undefined, { token: null })).toMatchObject({ status: 401 });
  expect(engine.running.size).toBe(0);
  expect((await send(url, '/v1/node')).status).toBe(200);
});

test('unknown routes and wrong methods', async () => {
  const { url } = await startTestNode();
  expect(await refusal(url, '/v1/chat/completions', {})).toMatchObject({ status: 404 });
  expect(await refusal(url, '/')).toMatchObject({ status: 404 });
  expect(await refusal(url, '/v1/generate')).toMatchObject({ status: 405, headers: { allow: 'POST' } });
  expect(await refusal(url, '/v1/generate/a', {})).toMatchObject({
    status: 405,
    headers: { allow: 'DELETE' },
  });
  expect(await refusal(url, '/v1/node', {})).toMatchObject({ status: 405 });
  expect(await refusal(url, '/v1/generate/unknown', undefined, { method: 'DELETE' })).toMatchObject({
    status: 404,
    code: 'not_found',
  });
});

test('an id that runs already is a 409 and leaves the first alone', async () => {
  const { url, engine } = await startTestNode();
  const arrival = engine.arrival();
  const first = (await send(url, '/v1/generate', generateBody())).read();
  const generation = await arrival;
  expect(await refusal(url, '/v1/generate', generateBody())).toMatchObject({
    status: 409,
    param: 'events.id',
    code: 'duplicate_id',
  });
  generation.end('stop');
  expect(await first.ended).toBe(true);
  expect(first.text).toContain('[DONE]');
  // Ended, the id is free again.
  const again = engine.arrival();
  const second = await send(url, '/v1/generate', generateBody());
  (await again).end('stop');
  expect(second.status).toBe(200);
});

test('a full queue is a 429 that says when to come back, in whole seconds that clients heed', async () => {
  const { url, engine } = await startTestNode();
  for (const [waitMs, seconds] of [
    [0, '1'],
    [1, '1'],
    [2_100, '3'],
    [59_001, '60'],
    [3_600_000, '60'],
  ] as const) {
    engine.refusal = new QueueFullError(256, 10_000, waitMs);
    expect(await refusal(url, '/v1/generate', generateBody())).toMatchObject({
      status: 429,
      type: 'rate_limit_error',
      code: 'queue_full',
      headers: { 'retry-after': seconds },
    });
  }
});

test('a prompt of very many wrong segments is refused as soon as one is found', async () => {
  const { url } = await startTestNode();
  for (const bad of [{ x: 1 }, { control: 'eos' }, null]) {
    // One complaint, not one for each.
    const large = { ...generateBody(), prompt: Array(380_000).fill(bad) };
    expect(generateRequest.safeParse(large).error?.issues).toHaveLength(1);
    const body = { ...generateBody(), prompt: Array(150_000).fill(bad) };
    expect(await refusal(url, '/v1/generate', body)).toMatchObject({
      status: 400,
      param: expect.stringMatching(/^prompt\.0/),
    });
  }
  const valid = Array.from({ length: 50_000 }, () => ({ control: 'bos' }));
  expect(
    await refusal(url, '/v1/generate', { ...generateBody(), prompt: [...valid, { text: 1 }] }),
  ).toMatchObject({
    status: 400,
    param: 'prompt.50000.text',
  });
});

test('while the model loads: alive, not ready, 503', async () => {
  let loaded!: (engine: Engine) => void;
  const loading = new Promise<Engine>((resolve) => {
    loaded = resolve;
  });
  const { logger, listening } = catchUrl();
  const starting = serveNode(() => loading, {
    token,
    host: '127.0.0.1',
    port: 0,
    name: 'huozi',
    log: logger,
  });
  const url = await listening;
  const health = (await send(url, '/healthz', undefined, { token: null })).read();
  await health.ended;
  expect([health.status, health.text]).toEqual([200, 'ok\n']);
  const ready = (await send(url, '/readyz', undefined, { token: null })).read();
  await ready.ended;
  expect([ready.status, ready.text]).toEqual([503, 'not ready\n']);
  for (const body of [undefined, generateBody()]) {
    expect(await refusal(url, body ? '/v1/generate' : '/v1/node', body)).toMatchObject({
      status: 503,
      code: 'model_loading',
      headers: { 'retry-after': '5' },
    });
  }
  loaded(new ScriptedEngine());
  const node = await starting;
  expect((await send(url, '/readyz', undefined, { token: null })).status).toBe(200);
  await node.close();
});

test('a load that fails closes the port', async () => {
  const { logger, listening } = catchUrl();
  const starting = serveNode(
    async () => {
      await listening;
      throw new Error('no such library');
    },
    { token, host: '127.0.0.1', port: 0, name: 'huozi', log: logger },
  );
  await expect(starting).rejects.toThrow('no such library');
  const { hostname, port } = new URL(await listening);
  const socket = connect(Number(port), hostname);
  await expect(
    new Promise((_, reject) => {
      socket.on('error', reject);
    }),
  ).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('GET /v1/node', async () => {
  const { url } = await startTestNode();
  const answer = (await send(url, '/v1/node')).read();
  expect(await answer.json()).toEqual({
    model: 'huozi',
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    engine: 'ready',
    draining: false,
    context_length: 100,
    slots: 4,
    active: 0,
    queued: 0,
    queued_tokens: 0,
    prefill_tokens_per_second: 0,
    answer_seconds: 0,
    prefixes: '',
    kv_used: 0,
    kv_total: 400,
    steps: 0,
    prefill_tokens: 0,
    decode_tokens: 0,
    experts: 8,
    experts_used: 2,
  });
});
