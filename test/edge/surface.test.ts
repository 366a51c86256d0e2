/** What a client can ask for and how it is refused, on real workerd. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { chat, edgeBeforeNode, errorOf, until } from './edge.ts';
import { accept, answer, refuse, streamOf, textEvent } from './scripted-node.ts';

const { node, edge } = edgeBeforeNode();
beforeEach(() => {
  node.script = answer('你好！');
});

const lastRequest = () => node.generations.at(-1)!.request;
const get = (path: string, init: RequestInit = {}) =>
  fetch(edge.url + path, { headers: { authorization: `Bearer ${edge.apiKey}` }, ...init });

describe('an answer in one piece', () => {
  it.each([
    [chat(), '/v1/chat/completions'],
    [{ model: 'huozi', prompt: '从前' }, '/v1/completions'],
  ])("has OpenAI's shape: %j", async (body, path) => {
    const response = await edge.post(body, { path });
    expect(response.headers.get('content-type')).toBe('application/json');
    const isChat = path.includes('chat');
    const { id, created } = lastRequest().events;
    expect(id).toMatch(isChat ? /^chatcmpl-\w{32}$/ : /^cmpl-\w{32}$/);
    const end = { index: 0, logprobs: null, finish_reason: 'stop' };
    expect(await response.json()).toEqual({
      id,
      object: isChat ? 'chat.completion' : 'text_completion',
      created,
      model: 'huozi',
      choices: [
        isChat ? { message: { role: 'assistant', content: '你好！' }, ...end } : { text: '你好！', ...end },
      ],
      usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
    });
    const [line] = await edge.metered(id);
    expect(line).toMatchObject({ stream: false, completion_tokens: 3, source: 'stream', reason: 'stop' });
  });

  it('that takes its time comes after blanks, which are JSON as well', async () => {
    node.script = (generation) => {
      accept(generation);
      setTimeout(() => generation.response.end(streamOf(generation.request, '好')), 400);
    };
    const text = await (await edge.post(chat())).text();
    expect(text).toMatch(/^ +\{/);
    expect(JSON.parse(text).choices[0].message.content).toBe('好');
  });

  it('whose node is lost at once is an error with its status', async () => {
    node.script = (generation) => {
      accept(generation);
      generation.response.end(textEvent(generation.request, 1, '一'));
    };
    expect(await errorOf(await edge.post(chat()))).toMatchObject({ status: 502, code: 'node_lost' });
  });

  it('whose node is lost later is an error under the 200 that has gone out', async () => {
    node.script = (generation) => {
      accept(generation);
      generation.response.write(textEvent(generation.request, 1, '一'));
      setTimeout(() => generation.response.end(), 400);
    };
    const response = await edge.post(chat());
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      error: expect.objectContaining({ code: 'node_lost', type: 'server_error' }),
    });
  });

  it.each([
    ['garbage', 'data: {"id":}\n\n'],
    ['no answer at all', ''],
  ])('that is %s before its [DONE] is no answer', async (_name, events) => {
    node.script = (generation) => {
      accept(generation);
      generation.response.end(`${events}data: [DONE]\n\n`);
    };
    expect(await errorOf(await edge.post(chat()))).toMatchObject({ status: 502, code: 'upstream_error' });
  });

  it('speaks the Chinese role to who spoke Chinese roles, and sends exact segments', async () => {
    const messages = [
      { role: '系统', content: '你是一个智能助手' },
      { role: '用户', content: '<|endofutterance|>' },
    ];
    const body = await (await edge.post(chat({ messages, stop_token_ids: [57001], seed: 3 }))).json();
    expect(body.choices[0].message.role).toBe('助手');
    expect(lastRequest().prompt).toEqual([
      { control: 'bos' },
      { control: 'begin' },
      { text: '系统\n你是一个智能助手' },
      { control: 'end' },
      { text: '\n' },
      { control: 'begin' },
      { text: '用户\n<|endofutterance|>' },
      { control: 'end' },
      { text: '\n' },
      { control: 'begin' },
      { text: '助手\n' },
    ]);
    expect(lastRequest()).toMatchObject({ stop_token_ids: [57001], sampling: { seed: 3 } });
  });
});

describe('models', () => {
  const model = {
    id: 'huozi',
    object: 'model',
    created: expect.any(Number),
    owned_by: 'huozi',
    max_model_len: 4096,
  };
  it('are listed and shown as OpenAI does', async () => {
    expect(await (await get('/v1/models')).json()).toEqual({ object: 'list', data: [model] });
    expect(await (await get('/v1/models/huozi')).json()).toEqual(model);
    const missing = await errorOf(await get('/v1/models/some/other'));
    expect(missing).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
  });

  it('that are not served are refused', async () => {
    const error = await errorOf(await edge.post(chat({ model: 'gpt-4o' })));
    expect(error).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
  });
});

describe('keys', () => {
  it.each([
    [{}],
    [{ authorization: 'Bearer EMPTY' }],
    [{ authorization: 'Basic aHo6' }],
    [{ authorization: `Bearer hz_test_${'0'.repeat(43)}_${'0'.repeat(22)}` }],
    [{ 'x-api-key': 'x' }],
  ])('%j does not pass, and is not repeated', async (headers) => {
    for (const path of ['/v1/models', '/v1/chat/completions', '/v1/anything']) {
      const response = await fetch(edge.url + path, { headers });
      const error = await errorOf(response);
      expect(error).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'invalid_request_error' });
      expect(JSON.stringify(error)).not.toMatch(/hz_test|aHo6|EMPTY/);
    }
  });

  it('are not needed to ask whether the edge lives', async () => {
    expect(await (await fetch(`${edge.url}/healthz`)).json()).toEqual({ status: 'ok' });
  });

  it('with the wrong case of the scheme, as some clients write it, pass', async () => {
    expect((await get('/v1/models', { headers: { authorization: `bearer ${edge.apiKey}` } })).status).toBe(
      200,
    );
  });

  it('never reach the log, nor do the nodes’ token and what was said', async () => {
    await edge.post(chat({ messages: [{ role: 'user', content: 'a-secret-question' }] }));
    node.script = refuse(400, { message: 'a-secret-answer', code: 'x' });
    await edge.post(chat());
    await until(() => edge.log.some((line) => line.includes('"event":"problem"')));
    for (const secret of [edge.apiKey, node.token, 'a-secret', '你好'])
      expect(edge.log.join('\n')).not.toContain(secret);
  });
});

describe('requests that are refused where they enter', () => {
  it.each(['', '{', 'null', '[]', '"x"', '{"model":"huozi",}', '['.repeat(100_000)])(
    'not JSON: %.20j',
    async (body) => {
      expect(await errorOf(await edge.post(body))).toMatchObject({
        status: 400,
        code: 'invalid_json',
        param: 'body',
      });
    },
  );

  it('not UTF-8', async () => {
    const body = Buffer.concat([
      Buffer.from('{"model":"huozi","user":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]);
    const response = await get('/v1/chat/completions', { method: 'POST', body });
    // Without the headers of `post`: a wrong content type is no reason to refuse.
    const again = await fetch(`${edge.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${edge.apiKey}`, 'content-type': 'text/plain' },
      body: JSON.stringify(chat()),
    });
    expect(await errorOf(response)).toMatchObject({ status: 400, code: 'invalid_json' });
    expect(again.status).toBe(200);
  });

  it.each(['with its length', 'in chunks'])('too large, sent %s', async (way) => {
    const text = JSON.stringify(chat({ user: 'x'.repeat(1024 * 1024) }));
    const init = way === 'in chunks' ? { body: new Blob([text]).stream(), duplex: 'half' } : { body: text };
    const response = await get('/v1/chat/completions', { method: 'POST', ...init } as RequestInit);
    expect(await errorOf(response)).toMatchObject({ status: 413, code: 'body_too_large' });
  });

  it('by the wrong method or to no known place', async () => {
    const response = await get('/v1/chat/completions');
    expect(response.headers.get('allow')).toBe('POST');
    expect(await errorOf(response)).toMatchObject({ status: 405, code: 'method_not_allowed' });
    expect(await errorOf(await get('/v1/embeddings', { method: 'POST' }))).toMatchObject({
      status: 404,
      code: 'unknown_url',
    });
    expect(await errorOf(await get('/nowhere'))).toMatchObject({ status: 404, code: 'unknown_url' });
  });

  it('by the name of the field', async () => {
    const error = await errorOf(await edge.post(chat({ temperature: 3 })));
    expect(error).toMatchObject({ status: 400, param: 'temperature' });
  });

  it('and never with a 5xx, whatever the body', async () => {
    const bodies = fc.oneof(
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.dictionary(fc.string(), fc.jsonValue()).map((fields) => JSON.stringify(chat(fields))),
      fc.string({ unit: 'binary' }),
    );
    // The first bodies take seconds to make, in which workerd closes idle connections. A turn of the event loop lets
    // the client see that before it would send on one of them.
    fc.sample(bodies, 10);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await fc.assert(
      fc.asyncProperty(bodies, async (body) => {
        const response = await edge.post(body);
        if (response.status === 200) return void (await response.text());
        const error = await errorOf(response);
        expect(error.status).toBeLessThan(500);
        expect(error).toHaveProperty('param', expect.any(String));
      }),
      { numRuns: 300 },
    );
  });
});

it.each([
  ['short and plain', 'run-1_a', 'run-1_a'],
  ['too long', 'x'.repeat(65), undefined],
  ['with a blank', 'a b', undefined],
])('a request id that is %s', async (_name, given, kept) => {
  const response = await get('/v1/models', {
    headers: { authorization: `Bearer ${edge.apiKey}`, 'x-request-id': given },
  });
  const id = response.headers.get('x-request-id');
  if (kept) expect(id).toBe(kept);
  else expect(id).toMatch(/^[0-9a-f-]{36}$/);
});

describe("what a node refuses, in the edge's words", () => {
  const secrets = {
    'x-node-secret': 'SECRET',
    server: 'SECRET',
    'set-cookie': 'a=SECRET',
    'x-huozi-usage': 'SECRET',
  };
  const said = (code: string, message = 'SECRET') => ({ message, type: 'SECRET', param: 'SECRET', code });

  it.each([
    [429, said('queue_full'), { 'retry-after': '7' }, { status: 429, code: 'overloaded' }, '7'],
    [429, said('queue_full'), { 'retry-after': '3600' }, { status: 429, code: 'overloaded' }, '60'],
    [503, said('model_loading'), {}, { status: 503, code: 'no_node_available' }, '5'],
    [502, said('x'), {}, { status: 503, code: 'no_node_available' }, '5'],
    [530, said('x'), { 'retry-after': 'SECRET' }, { status: 503, code: 'no_node_available' }, '5'],
    [401, said('invalid_api_key'), {}, { status: 502, code: 'upstream_misconfigured' }, null],
    [403, said('x'), {}, { status: 502, code: 'upstream_misconfigured' }, null],
    [400, said('invalid_value'), {}, { status: 502, code: 'upstream_error' }, null],
    [404, said('x'), {}, { status: 502, code: 'upstream_error' }, null],
    [500, said('internal_error'), {}, { status: 502, code: 'upstream_error' }, null],
    [200, said('no event stream'), {}, { status: 502, code: 'upstream_misconfigured' }, null],
    [
      400,
      said(
        'context_length_exceeded',
        "This model's maximum context length is 4096 tokens. However, your prompt has 5012 tokens, SECRET.",
      ),
      {},
      { status: 400, code: 'context_length_exceeded', param: 'messages' },
      null,
    ],
  ])('%i %j %j', async (status, error, headers, expected, retryAfter) => {
    node.script = refuse(status, error, { ...secrets, ...headers });
    for (const stream of [true, false]) {
      const response = await edge.post(chat({ stream }));
      expect(response.headers.get('retry-after')).toBe(retryAfter);
      expect(JSON.stringify([...response.headers])).not.toContain('SECRET');
      const got = await errorOf(response);
      expect(got).toMatchObject(expected);
      expect(JSON.stringify(got)).not.toContain('SECRET');
      if (expected.code === 'context_length_exceeded')
        expect((got as { message?: string }).message).toMatch(/4096.*5012/);
    }
  });

  it('its headers do not come along with an answer either', async () => {
    node.script = (generation) => {
      for (const [name, value] of Object.entries(secrets)) generation.response.setHeader(name, value);
      answer('好')(generation);
    };
    for (const stream of [true, false]) {
      const response = await edge.post(chat({ stream }));
      expect(JSON.stringify([...response.headers])).not.toContain('SECRET');
      await response.text();
    }
  });
});

describe('a node that redirects', () => {
  let elsewhere: Server;
  let visits = 0;
  beforeAll(async () => {
    elsewhere = createServer((_request, response) => {
      visits++;
      response.end('{}');
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => elsewhere.close());

  it.each([301, 302, 307, 308])('%i is not followed', async (status) => {
    const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`;
    node.script = refuse(status, {}, { location });
    const error = await errorOf(await edge.post(chat()));
    expect(error).toMatchObject({ status: 502, code: 'upstream_misconfigured' });
    expect(visits).toBe(0);
  });
});
