import { afterEach, describe, expect, test, vi } from 'vitest';
import { Huozi, HuoziError, type HuoziOptions } from '../src/index.ts';
import { events, first, last, second, text, usage } from './answers.ts';
import { fakeFetch, json, never, sse } from './fake-fetch.ts';
import { hostileServer } from './hostile-server.ts';

const baseURL = 'http://edge.test/v1';
const messages = [{ role: 'user' as const, content: '你好' }];

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('options', () => {
  test.each([
    ['http://edge.test', 'http://edge.test/v1/models'],
    ['http://edge.test/', 'http://edge.test/v1/models'],
    ['http://edge.test/v1', 'http://edge.test/v1/models'],
    ['http://edge.test/v1//', 'http://edge.test/v1/models'],
    ['https://edge.test/team/v1/', 'https://edge.test/team/v1/models'],
    ['/v1', '/v1/models'],
  ])('baseURL %s', async (baseURL, url) => {
    const fake = fakeFetch(json({ object: 'list', data: [] }));
    await new Huozi({ baseURL, apiKey: 'k', fetch: fake.fetch }).models.list();
    expect(fake.requests[0]!.url).toBe(url);
  });

  test.each(['', 'edge.test/v1', 'ftp://edge.test', 'file:///v1'])('baseURL %s is refused', (baseURL) => {
    expect(() => new Huozi({ baseURL, apiKey: 'k' })).toThrow(HuoziError);
  });

  test('headers: the call’s beat the client’s, and neither replaces the key', async () => {
    const fake = fakeFetch(json({ data: [] }));
    const defaultHeaders = { 'x-a': '1', 'X-B': '1', Authorization: 'mine' };
    const huozi = new Huozi({ baseURL, apiKey: 'k', fetch: fake.fetch, defaultHeaders });
    await huozi.models.list({ headers: { 'x-b': '2' } });
    expect([...fake.requests[0]!.headers]).toEqual([
      ['authorization', 'Bearer k'],
      ['x-a', '1'],
      ['x-b', '2'],
    ]);
  });

  test('the runtime’s own fetch is found at the call, not kept from the start', async () => {
    const huozi = new Huozi({ baseURL, apiKey: 'k' });
    const fake = fakeFetch(json({ data: [] }));
    vi.stubGlobal('fetch', fake.fetch);
    await huozi.models.list();
    expect(fake.requests).toHaveLength(1);
  });

  test('maxRetries, of the client and of a call', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const fake = fakeFetch(json({}, { status: 500 }));
    const huozi = new Huozi({ baseURL, apiKey: 'k', fetch: fake.fetch, maxRetries: 3 });
    await expect(huozi.models.list()).rejects.toMatchObject({ status: 500 });
    expect(fake.requests).toHaveLength(4);
    await expect(huozi.models.list({ maxRetries: 0 })).rejects.toMatchObject({ status: 500 });
    expect(fake.requests).toHaveLength(5);
  });
});

describe('the key', () => {
  const page = () => vi.stubGlobal('document', {});

  test('a literal one in a page is refused unless allowed; a function never is', () => {
    const of = (options: Partial<HuoziOptions>) => () => new Huozi({ baseURL, apiKey: 'k', ...options });
    expect(of({})).not.toThrow();
    page();
    expect(of({})).toThrow(/page/);
    expect(of({ dangerouslyAllowBrowser: false })).toThrow(HuoziError);
    expect(of({ dangerouslyAllowBrowser: true })).not.toThrow();
    expect(of({ apiKey: () => 'k' })).not.toThrow();
  });

  test('a missing one is refused', () => {
    expect(() => new Huozi({ baseURL, apiKey: '' })).toThrow(HuoziError);
    expect(() => new Huozi({ baseURL, apiKey: undefined as unknown as string })).toThrow(HuoziError);
  });

  test('an error under a 200 is a failure: an edge may have had to send its headers first', async () => {
    const error = { message: 'The node was lost.', type: 'server_error', param: null, code: 'node_lost' };
    const fake = fakeFetch(json({ error }));
    const huozi = new Huozi({ baseURL, apiKey: 'k', fetch: fake.fetch, maxRetries: 0 });
    const call = huozi.chat.completions.create({
      model: 'huozi',
      messages: [{ role: 'user', content: '你好' }],
    });
    await expect(call).rejects.toMatchObject({ name: 'ServerError', code: 'node_lost' });
  });

  test('a function is asked before each try', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    let count = 0;
    const fake = fakeFetch(json({}, { status: 503 }), json({ data: [] }));
    const huozi = new Huozi({ baseURL, apiKey: async () => `k${++count}`, fetch: fake.fetch });
    await huozi.models.list();
    expect(fake.requests.map(({ headers }) => headers.get('authorization'))).toEqual([
      'Bearer k1',
      'Bearer k2',
    ]);
  });

  test('what its function throws is thrown as it is, and not tried again', async () => {
    const mine = new Error('logged out');
    const fake = fakeFetch(never);
    const apiKey = vi.fn(() => Promise.reject(mine));
    await expect(new Huozi({ baseURL, apiKey, fetch: fake.fetch }).models.list()).rejects.toBe(mine);
    expect(apiKey).toHaveBeenCalledTimes(1);
    expect(fake.requests).toHaveLength(0);
  });

  test('the line end of a key file does not matter; what cannot be sent is refused without being told', async () => {
    const fake = fakeFetch(json({ data: [] }));
    await new Huozi({ baseURL, apiKey: 'hz_secret\n', fetch: fake.fetch }).models.list();
    expect(fake.requests[0]!.headers.get('authorization')).toBe('Bearer hz_secret');
    for (const apiKey of ['hz_secret\nx: y', 'hz_密钥', ' ']) {
      const error = await new Huozi({ baseURL, apiKey, fetch: fake.fetch }).models
        .list()
        .catch((error) => error);
      expect(HuoziError.isInstance(error)).toBe(true);
      expect(`${error.message}${error.stack}${JSON.stringify(error)}`).not.toMatch(/secret|密钥/);
    }
    expect(fake.requests).toHaveLength(1);
  });

  test('no error holds it', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const failures = [
      json({ error: { message: 'no' } }, { status: 401 }),
      json({}, { status: 503 }),
      () => Promise.reject(new TypeError('fetch failed')),
      new Response('<html>'),
    ];
    for (const failure of failures) {
      const huozi = new Huozi({ baseURL, apiKey: 'hz_secret', fetch: fakeFetch(failure).fetch });
      const error = await huozi.models.list().catch((error) => error);
      const { inspect } = await import('node:util');
      expect(HuoziError.isInstance(error)).toBe(true);
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hz_secret');
    }
  });
});

describe('answers', () => {
  const completion = { id: 'c', object: 'chat.completion', created: 1, model: 'huozi', choices: [], usage };

  test('chat without stream: the body as it is, with the request’s id beside it', async () => {
    const fake = fakeFetch(json(completion));
    const huozi = new Huozi({ baseURL, apiKey: 'k', fetch: fake.fetch });
    const params = { model: 'huozi', messages, temperature: 0, stop_token_ids: [57001], ignore_eos: true };
    const got = await huozi.chat.completions.create(params);
    expect(got).toEqual(completion);
    expect(got._request_id).toBe('r-1');
    expect(JSON.stringify(got)).toBe(JSON.stringify(completion));
    expect(fake.requests[0]).toMatchObject({ url: `${baseURL}/chat/completions`, body: params });
    expect(fake.requests[0]!.headers.get('content-type')).toBe('application/json');
    expect(fake.requests[0]!.headers.get('idempotency-key')).toBeTruthy();
  });

  test('completions, streamed and not', async () => {
    const piece = (text: string, finish: string | null) => ({
      ...completion,
      object: 'text_completion',
      choices: [{ index: 0, text, finish_reason: finish, logprobs: null }],
    });
    const stream = [piece('疑是', null), piece('地上霜', 'stop')].map(
      (one) => `data: ${JSON.stringify(one)}\n\n`,
    );
    const fake = fakeFetch(sse([...stream, 'data: [DONE]\n\n']), json(piece('疑是地上霜', 'stop')));
    const huozi = new Huozi({ baseURL, apiKey: 'k', fetch: fake.fetch });
    const body = { model: 'huozi', prompt: '床前明月光，' };
    const streamed = await huozi.completions.create({ ...body, stream: true });
    let text = '';
    for await (const one of streamed.textStream) text += one;
    expect(text).toBe('疑是地上霜');
    expect(await streamed.finalCompletion()).toEqual(await huozi.completions.create(body));
    expect(fake.requests[0]!.url).toBe(`${baseURL}/completions`);
  });

  test('models: a list and one, whose name is a path segment and no path', async () => {
    const fake = fakeFetch(json({ object: 'list', data: [{ id: 'huozi' }] }), json({ id: 'huozi' }));
    const huozi = new Huozi({ baseURL, apiKey: 'k', fetch: fake.fetch });
    expect((await huozi.models.list()).data[0]!.id).toBe('huozi');
    expect((await huozi.models.retrieve('../keys?x')).id).toBe('huozi');
    expect(fake.requests[1]!.url).toBe(`${baseURL}/models/..%2Fkeys%3Fx`);
    expect(fake.requests[1]!.body).toBeUndefined();
    expect(fake.requests[1]!.headers.has('idempotency-key')).toBe(false);
  });

  test('an answer that breaks off is asked for again; one that is no JSON is not', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const broken = () =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(new TextEncoder().encode('{"id":')),
          pull: (controller) => controller.error(new TypeError('terminated')),
        }),
      );
    const fake = fakeFetch(broken, json(completion));
    const huozi = new Huozi({ baseURL, apiKey: 'k', fetch: fake.fetch });
    expect(await huozi.chat.completions.create({ model: 'huozi', messages })).toEqual(completion);
    expect(fake.requests).toHaveLength(2);

    const page = fakeFetch(() => new Response('<html>', { headers: { 'content-type': 'text/html' } }));
    const wrong = new Huozi({ baseURL, apiKey: 'k', fetch: page.fetch }).models.list();
    await expect(wrong).rejects.toMatchObject({
      name: 'ProtocolError',
      message: expect.stringContaining('baseURL'),
    });
    expect(page.requests).toHaveLength(1);
  });

  test('an endless error body is not read to its end', async () => {
    let sent = 0;
    const flood = () =>
      new Response(
        new ReadableStream({
          pull: (controller) => {
            sent += 2 ** 20;
            controller.enqueue(new Uint8Array(2 ** 20).fill(120));
          },
        }),
        { status: 400 },
      );
    const fake = fakeFetch(flood);
    const call = new Huozi({ baseURL, apiKey: 'k', fetch: fake.fetch }).models.list();
    await expect(call).rejects.toMatchObject({ name: 'RequestError', status: 400 });
    expect(sent).toBeLessThan(20 * 2 ** 20);
    expect(fake.requests[0]!.signal.aborted).toBe(true);
  });
});

describe('over real sockets', () => {
  const body = { model: 'huozi', messages, stream: true as const };

  test('streams that were read to their end leave their connections for the next', async () => {
    const server = await hostileServer(async ({ begin, event, response }) => {
      begin();
      for (const one of [first, second, last]) await event(one);
      response.end('data: [DONE]\n\n');
    });
    const huozi = new Huozi({ baseURL: server.baseURL, apiKey: 'k' });
    for (let i = 0; i < 10; i++) {
      const stream = await huozi.chat.completions.create(body);
      expect(await stream.finalMessage()).toMatchObject({ content: text });
    }
    expect(server.tries).toHaveLength(10);
    // Not one: a call may begin before the end of the connection before it was read.
    expect(server.connections).toBeLessThan(6);
    await server.close();
  });

  // The test's limit is the only clock: without the close `left` never resolves.
  test.each<[string, (signal: AbortSignal, stop: () => void, huozi: Huozi) => Promise<unknown>]>([
    [
      'abort()',
      async (_, __, huozi) => {
        const stream = await huozi.chat.completions.create(body);
        for await (const _ of stream) stream.abort();
      },
    ],
    [
      'a signal mid-stream',
      async (signal, stop, huozi) => {
        const stream = await huozi.chat.completions.create(body, { signal });
        await expect(
          (async () => {
            for await (const _ of stream) stop();
          })(),
        ).rejects.toThrow();
      },
    ],
    [
      'a signal before the headers',
      async (signal, stop, huozi) => {
        setTimeout(stop, 50);
        const call = huozi.chat.completions.create({ model: 'silent', messages }, { signal });
        await expect(call).rejects.toMatchObject({ name: 'AbortError' });
      },
    ],
  ])('the server sees %s', async (_, leave) => {
    const server = await hostileServer(async ({ begin, event, body }) => {
      if (body.includes('silent')) return;
      begin();
      await event(first);
    });
    const controller = new AbortController();
    const huozi = new Huozi({ baseURL: server.baseURL, apiKey: 'k' });
    await leave(controller.signal, () => controller.abort(), huozi);
    await server.tries[0]!.left;
    await server.close();
  });

  test('a port where nobody listens is a ConnectionError with its cause', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const server = await hostileServer(() => {});
    await server.close();
    const call = new Huozi({ baseURL: server.baseURL, apiKey: 'k' }).models.list();
    await expect(call).rejects.toMatchObject({
      name: 'ConnectionError',
      isRetryable: true,
      cause: expect.any(TypeError),
    });
  });
});

test('events of the wire carry what Huozi adds without being disturbed by it', async () => {
  const withIds = events.map((event, at) => `id: ${at}\n: ids 312,447\n${event}`);
  const huozi = new Huozi({ baseURL, apiKey: 'k', fetch: fakeFetch(sse(withIds)).fetch });
  const stream = await huozi.chat.completions.create({ model: 'huozi', messages, stream: true });
  expect(await stream.finalMessage()).toMatchObject({ content: text });
});
