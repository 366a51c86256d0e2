import { describe, expect, test } from 'vitest';
import { Huozi } from '../src/all.ts';
import { Huozi as Lean } from '../src/index.ts';
import { Responses } from '../src/responses.ts';
import { fakeFetch, json, sse } from './fake-fetch.ts';

const baseURL = 'http://edge.test/v1';
const output = [
  { type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text: '你好，世界' }] },
];
const usage = { input_tokens: 3, output_tokens: 4, total_tokens: 7 };
const begun = { id: 'resp_1', object: 'response', status: 'in_progress', model: 'huozi', output: [] };
const done = { ...begun, status: 'completed', output, usage };

const events = (...list: object[]) =>
  list.map((event) => `event: ${(event as { type: string }).type}\ndata: ${JSON.stringify(event)}\n\n`);
const created = { type: 'response.created', response: begun };
const delta = (text: string) => ({ type: 'response.output_text.delta', delta: text });
const completed = { type: 'response.completed', response: done };

function client(...answers: Parameters<typeof fakeFetch>) {
  const fake = fakeFetch(...answers);
  return { fake, ...new Huozi({ baseURL, apiKey: 'k', fetch: fake.fetch, maxRetries: 0 }) };
}

describe('whole', () => {
  test('create, with output_text', async () => {
    const { fake, responses } = client(json(done));
    const response = await responses.create({ model: 'huozi', input: '你好', max_output_tokens: 5 });
    expect(response).toMatchObject({ id: 'resp_1', output_text: '你好，世界', _request_id: 'r-1' });
    expect(fake.requests[0]).toMatchObject({
      url: `${baseURL}/responses`,
      body: { model: 'huozi', input: '你好', max_output_tokens: 5 },
    });
  });

  test('retrieve, cancel, delete: method and path, the id as one segment', async () => {
    const fake = fakeFetch(json(done), json(done), json({ id: 'resp_1', deleted: true }));
    const methods: (string | undefined)[] = [];
    const responses = new Responses(
      new Lean({
        baseURL,
        apiKey: 'k',
        fetch: (url, init) => {
          methods.push(init?.method);
          return fake.fetch(url, init);
        },
      }),
    );
    await responses.retrieve('resp_1/../x');
    await responses.cancel('resp_1');
    expect(await responses.delete('resp_1')).toEqual({ id: 'resp_1', deleted: true });
    expect(methods).toEqual(['GET', 'POST', 'DELETE']);
    expect(fake.requests.map(({ url }) => url.slice(baseURL.length))).toEqual([
      '/responses/resp_1%2F..%2Fx',
      '/responses/resp_1/cancel',
      '/responses/resp_1',
    ]);
  });
});

describe('streamed', () => {
  const open = (pieces: string[]) =>
    client(sse(pieces)).responses.create({ model: 'huozi', input: '你好', stream: true });

  test('events, text, usage and the whole', async () => {
    const pieces = events(created, delta('你好'), delta('，世界'), completed);
    const texts: string[] = [];
    const stream = await open(pieces);
    for await (const text of stream.textStream) texts.push(text);
    expect(texts).toEqual(['你好', '，世界']);
    expect(await stream.finalResponse()).toEqual({ ...done, output_text: '你好，世界' });
    expect(stream.usage).toEqual(usage);
    const types: string[] = [];
    for await (const event of await open(pieces)) types.push(event.type);
    expect(types).toEqual([
      'response.created',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.completed',
    ]);
  });

  test('one that was cut off by its length is whole, and says so', async () => {
    const incomplete = { ...done, status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } };
    const stream = await open(
      events(created, delta('你好'), { type: 'response.incomplete', response: incomplete }),
    );
    expect(await stream.finalResponse()).toMatchObject({ status: 'incomplete' });
  });

  test('a cut is an error; what came is kept', async () => {
    const stream = await open(events(created, delta('你好')));
    await expect(stream.finalResponse()).rejects.toMatchObject({ name: 'TruncatedError' });
    expect(stream.snapshot).toMatchObject({ status: 'in_progress', output_text: '你好' });
  });

  test.each([
    [
      'response.failed',
      {
        type: 'response.failed',
        response: { ...begun, status: 'failed', error: { code: 'node_lost', message: 'gone' } },
      },
    ],
    ['error', { type: 'error', code: 'node_lost', message: 'gone', param: null }],
    ['an error without a type', { error: { code: 'node_lost', message: 'gone' } }],
  ])('%s is an error of the server', async (_, event) => {
    const stream = await open(events(created, delta('你好'), event));
    await expect(stream.finalResponse()).rejects.toMatchObject({
      name: 'ServerError',
      code: 'node_lost',
      message: 'gone',
      requestId: 'r-1',
    });
  });

  test('an event that is none is a ProtocolError', async () => {
    const stream = await open(['data: {"choices":[]}\n\n']);
    await expect(stream.finalResponse()).rejects.toMatchObject({ name: 'ProtocolError' });
  });

  test('a stored one is followed from an event on', async () => {
    const { fake, responses } = client(sse(events(delta('，世界'), completed)));
    const stream = await responses.stream('resp_1', { startingAfter: 1 });
    expect((await stream.finalResponse()).output_text).toBe('你好，世界');
    expect(fake.requests[0]!.url).toBe(`${baseURL}/responses/resp_1?stream=true&starting_after=1`);
  });
});

test('what a client prints does not hold its key', async () => {
  const { inspect } = await import('node:util');
  expect(inspect(new Huozi({ baseURL, apiKey: 'hz_secret' }), { depth: 9, showHidden: true })).not.toContain(
    'hz_secret',
  );
});
