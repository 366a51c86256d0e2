/** A cut stream that the server keeps goes on by itself: nothing lost, nothing twice, and leaving it is told. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ChatStream, Huozi, type HuoziOptions } from '../src/index.ts';
import { chunk, last, text, usage, usageChunk } from './answers.ts';
import { type FakeFetch, fakeFetch, json, never } from './fake-fetch.ts';
import { body } from './open-stream.ts';

const letters = [...text];
/** An event a letter, as the edge numbers them. */
const told = [...letters.map((content) => chunk({ content })), last, usageChunk, '[DONE]'].map(
  (data, at) => `id: ${at + 1}\ndata: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`,
);
const whole = told.join('');
const bytes = new TextEncoder();

const kept = { 'content-type': 'text/event-stream', 'x-huozi-stream': '/v1/streams/s-1' };

type Ending = 'end' | 'break' | 'hang';

/** A response of these bytes, and what becomes of its connection. */
function part(data: string | Uint8Array, ending: Ending = 'break', headers: Record<string, string> = kept) {
  return () => {
    let isTold = false;
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (!isTold) {
          isTold = true;
          return controller.enqueue(typeof data === 'string' ? bytes.encode(data) : data);
        }
        if (ending === 'end') controller.close();
        if (ending === 'break') controller.error(new TypeError('terminated'));
      },
    });
    return new Response(stream, { headers });
  };
}

/** What the server tells whom it asks for the rest. */
const after = (n: number, ending: Ending = 'end') => part(told.slice(n).join(''), ending);

const clientOf = ({ fetch }: FakeFetch, options: Partial<HuoziOptions> = {}) =>
  new Huozi({ baseURL: 'http://edge.test/v1', apiKey: 'k', fetch, ...options });

const open = (fake: FakeFetch, options: object = {}): Promise<ChatStream> =>
  clientOf(fake).chat.completions.create(body, options);

async function read(stream: ChatStream): Promise<string> {
  let said = '';
  for await (const piece of stream.textStream) said += piece;
  return said;
}

const asked = ({ requests }: FakeFetch) => requests.map(({ url }) => url.replace('http://edge.test/v1', ''));

beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('a cut', () => {
  test.each<Ending>(['end', 'break'])(
    'after each byte, by %s: every letter once',
    async (ending) => {
      const all = bytes.encode(whole);
      /** Where an event is complete, its blank line left out. */
      const ends: number[] = [];
      let at = 0;
      for (const event of told) {
        at += bytes.encode(event).length;
        ends.push(at);
      }
      for (let cut = 0; cut <= all.length; cut++) {
        const fake = fakeFetch(part(all.slice(0, cut), ending));
        // A server that knows its own events answers what it is asked for.
        const { fetch } = fake;
        fake.fetch = (async (url: string, init: RequestInit) => {
          const response = await fetch(url, init);
          const [, n] = /\?after=(\d+)$/.exec(url) ?? [];
          if (fake.requests.length === 1) return response;
          return after(Number(n ?? 0))();
        }) as never;
        const stream = await open(fake);
        expect(await read(stream), `cut after ${cut}`).toBe(text);
        // Once finish_reason is there the answer is whole, whatever comes of the connection.
        if (cut > ends.at(-2)!) expect(stream.usage).toEqual(usage);
      }
    },
    120_000,
  );

  test('asks for the rest, with the key, and tells', async () => {
    const fake = fakeFetch(part(told.slice(0, 2).join('')), after(2));
    const onResume = vi.fn();
    const stream = await open(fake, { onResume });
    expect(await stream.finalMessage()).toEqual({ role: 'assistant', content: text });
    expect(stream.usage).toEqual(usage);
    expect(asked(fake)).toEqual(['/chat/completions', '/streams/s-1?after=2']);
    expect(fake.requests[1]).toMatchObject({ body: undefined });
    expect(fake.requests[1]!.headers.get('authorization')).toBe('Bearer k');
    expect(onResume.mock.calls).toEqual([[expect.objectContaining({ name: 'ConnectionError' })]]);
  });

  test('before the first event the request is sent again, by the same key', async () => {
    const fake = fakeFetch(part(': ping\n\n'), part(whole, 'end'));
    const onResume = vi.fn();
    expect(await read(await open(fake, { onResume }))).toBe(text);
    expect(asked(fake)).toEqual(['/chat/completions', '/chat/completions']);
    const keys = fake.requests.map(({ headers }) => headers.get('idempotency-key'));
    expect(keys[0]).toBe(keys[1]);
    expect(onResume).not.toHaveBeenCalled();
  });

  test('as often as it likes, as long as the answer comes further', async () => {
    const steps = told.slice(0, -1).map((event) => part(event));
    const fake = fakeFetch(...steps, after(told.length - 1));
    expect(await read(await open(fake))).toBe(text);
    // finish_reason is enough: nobody asks for the usage of an answer that is whole.
    expect(fake.requests).toHaveLength(letters.length + 1);
  });

  test('that nothing follows is the error, after the tries that are allowed', async () => {
    const nothing = part('', 'end');
    const fake = fakeFetch(part(told[0]!), nothing);
    await expect(read(await open(fake))).rejects.toMatchObject({ name: 'TruncatedError' });
    expect(asked(fake).slice(1, -1)).toEqual(['/streams/s-1?after=1', '/streams/s-1?after=1']);
  });

  test('after which the server is away for a moment', async () => {
    const lost = () => Promise.reject(new TypeError('fetch failed'));
    const fake = fakeFetch(part(told[0]!), lost, json({}, { status: 503 }), after(1));
    expect(await read(await open(fake, { maxRetries: 3 }))).toBe(text);
  });

  test('of a stream that the server no longer has is what the server says', async () => {
    const gone = json({ error: { message: 'm', code: 'stream_not_found' } }, { status: 404 });
    const stream = await open(fakeFetch(part(told[0]!), gone));
    await expect(read(stream)).rejects.toMatchObject({ name: 'RequestError', code: 'stream_not_found' });
    expect(stream.snapshot?.choices[0]?.message.content).toBe(letters[0]);
  });

  test('by an idle connection', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const fake = fakeFetch(part(told[0]!, 'hang'), after(1));
    const reading = open(fake, { deadlines: { idle: 1000 } }).then(read);
    await vi.advanceTimersByTimeAsync(1100);
    expect(await reading).toBe(text);
    expect(fake.requests[0]!.signal.aborted).toBe(true);
  });

  test('is not made of a server that tells all of it again', async () => {
    const fake = fakeFetch(part(told.slice(0, 3).join('')), part(whole, 'end'));
    expect(await read(await open(fake))).toBe(text);
  });
});

describe('an error event', () => {
  const failing = (code: string) =>
    `data: ${JSON.stringify({ error: { message: 'm', type: 'server_error', code } })}\n\n`;

  test('without a number is of the way, and the answer goes on', async () => {
    const fake = fakeFetch(part(`${told[0]}${failing('stream_interrupted')}`, 'end'), after(1));
    expect(await read(await open(fake))).toBe(text);
  });

  test('with a number is the answer’s end', async () => {
    const fake = fakeFetch(part(`${told[0]}id: 2\n${failing('node_lost')}`, 'end'), after(1));
    await expect(read(await open(fake))).rejects.toMatchObject({ name: 'ServerError', code: 'node_lost' });
    expect(asked(fake)[1]).toBe('/streams/s-1');
  });

  test('with a number is the end of an answer that was taken up, too: asked once, and what came stays', async () => {
    const error = `id: 2\n${failing('node_lost')}`;
    const fake = fakeFetch(part(told[0]!), part(error, 'end'));
    const stream = await open(fake);
    await expect(read(stream)).rejects.toMatchObject({ code: 'node_lost' });
    expect(asked(fake)).toEqual(['/chat/completions', '/streams/s-1?after=1', '/streams/s-1']);
    expect(stream.snapshot?.choices[0]?.message.content).toBe(letters[0]);
  });

  test('[DONE] without finish_reason is the end, too', async () => {
    const fake = fakeFetch(part(`${told[0]}id: 2\ndata: [DONE]\n\n`, 'end'), after(1));
    await expect(read(await open(fake))).rejects.toMatchObject({ name: 'TruncatedError' });
    expect(asked(fake)[1]).toBe('/streams/s-1');
  });
});

describe('other servers', () => {
  test.each([
    ['no header', { 'content-type': 'text/event-stream' }, told[0]!],
    ['no numbers', kept, told[0]!.replace(/^id: .*\n/, '')],
    ['numbers that are none', kept, told[0]!.replace(/^id: .*\n/, 'id: a\n')],
  ])('%s: the cut is the error', async (_, headers, data) => {
    const fake = fakeFetch(part(data, 'break', headers), after(1));
    await expect(read(await open(fake))).rejects.toMatchObject({ name: 'ConnectionError' });
    expect(asked(fake).filter((url) => url.includes('after'))).toEqual([]);
  });

  test('numbers of theirs, whatever they are, drop nothing', async () => {
    const same = whole.replace(/^id: .*$/gm, 'id: 7');
    const fake = fakeFetch(part(same, 'end', { 'content-type': 'text/event-stream' }));
    expect(await read(await open(fake))).toBe(text);
  });

  test('the field is not sent where the client is told so', async () => {
    const fake = fakeFetch(part(whole, 'end'));
    const huozi = clientOf(fake, { resumable: false });
    await read(await huozi.chat.completions.create(body));
    expect(fake.requests[0]!.body).not.toHaveProperty('resumable');
    await read(await huozi.chat.completions.create({ ...body, resumable: true }));
    expect(fake.requests[1]!.body).toHaveProperty('resumable', true);
    await read(await clientOf(fake).chat.completions.create({ ...body, resumable: false }));
    expect(fake.requests[2]!.body).toHaveProperty('resumable', false);
    await huozi.chat.completions.create({ model: 'huozi', messages: [] }).catch(() => undefined);
    expect(fake.requests[3]!.body).not.toHaveProperty('resumable');
  });
});

describe('leaving', () => {
  const running = part(told[0]!, 'hang');

  /** Methods are not among what fakeFetch keeps. */
  function watched(...answers: Parameters<typeof fakeFetch>) {
    const fake = fakeFetch(...answers);
    const { fetch } = fake;
    const sent: [string, boolean][] = [];
    fake.fetch = ((url: string, init: RequestInit) => {
      sent.push([`${init.method} ${url.replace('http://edge.test/v1', '')}`, init.keepalive === true]);
      return fetch(url, init);
    }) as never;
    return { fake, sent };
  }

  test.each<[string, (stream: ChatStream, controller: AbortController) => Promise<unknown>]>([
    [
      'break',
      async (stream) => {
        for await (const _ of stream) break;
      },
    ],
    ['abort', async (stream) => stream.abort()],
    ['a signal', async (_, controller) => controller.abort()],
    ['cancel of the readable stream', (stream) => stream.toReadableStream().cancel()],
  ])('by %s ends the answer at the server, once', async (_, leave) => {
    const { fake, sent } = watched(running, json({}));
    const controller = new AbortController();
    const stream = await open(fake, { signal: controller.signal });
    await leave(stream, controller);
    stream.abort();
    expect(sent).toEqual([
      ['POST /chat/completions', false],
      ['DELETE /streams/s-1', true],
    ]);
    expect(fake.requests[1]!.headers.get('authorization')).toBe('Bearer k');
    expect(fake.requests[0]!.signal.aborted).toBe(true);
  });

  test.each([
    ['refused', json({}, { status: 500 })],
    ['lost', () => Promise.reject(new TypeError('fetch failed'))],
    ['never answered', never],
  ])('where that is %s, nobody hears of it', async (_, answer) => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const { fake, sent } = watched(running, answer);
    const stream = await open(fake);
    for await (const _ of stream) break;
    await new Promise((resolve) => setTimeout(resolve, 0));
    process.off('unhandledRejection', unhandled);
    expect(sent).toHaveLength(2);
    expect(unhandled).not.toHaveBeenCalled();
  });

  test('while it waits for the next try', async () => {
    const { fake, sent } = watched(part(told[0]!), never);
    const stream = await open(fake);
    const reading = read(stream);
    await vi.waitFor(() => expect(sent).toHaveLength(2));
    stream.abort();
    expect(await reading).toBe(letters[0]);
    expect(sent.at(-1)).toEqual(['DELETE /streams/s-1', true]);
  });

  test('a whole answer leaves nothing to end', async () => {
    const { fake, sent } = watched(part(whole, 'end'));
    const stream = await open(fake);
    await read(stream);
    stream.abort();
    expect(sent).toHaveLength(1);
  });

  test('a server that keeps nothing is not asked', async () => {
    const { fake, sent } = watched(part(told[0]!, 'hang', { 'content-type': 'text/event-stream' }));
    for await (const _ of await open(fake)) break;
    expect(sent).toHaveLength(1);
  });
});
