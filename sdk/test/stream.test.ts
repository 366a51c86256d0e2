import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AbortError, type ChatCompletionChunk, type ChatStream, Huozi, HuoziError } from '../src/index.ts';
import { chunk, events, first, last, second, text, usage, usageChunk } from './answers.ts';
import { type FakeFetch, fakeFetch, json, never, sse } from './fake-fetch.ts';

const body = {
  model: 'huozi',
  messages: [{ role: 'user' as const, content: '你好' }],
  stream: true as const,
};

function open(fake: FakeFetch, options: object = {}, rest: object = {}): Promise<ChatStream> {
  const huozi = new Huozi({ baseURL: 'http://edge.test/v1', apiKey: 'k', fetch: fake.fetch });
  return huozi.chat.completions.create({ ...body, ...rest }, options);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const got: T[] = [];
  for await (const item of items) got.push(item);
  return got;
}

beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('reading', () => {
  test('chunks, then usage, request id and the whole', async () => {
    const stream = await open(fakeFetch(sse()));
    expect(stream.usage).toBeUndefined();
    expect(await all(stream)).toEqual([first, second, last]);
    expect(stream.usage).toEqual(usage);
    expect(stream.requestId).toBe('r-1');
    expect(await stream.finalMessage()).toEqual({ role: 'assistant', content: text });
    expect(stream.snapshot).toEqual(await stream.finalCompletion());
  });

  test('usage is asked for, and its chunk kept back, unless the caller spoke of it', async () => {
    const fake = fakeFetch(sse());
    await all(await open(fake));
    expect(fake.requests[0]!.body).toEqual({
      ...body,
      stream_options: { include_usage: true },
      resumable: true,
    });
    const asked = { stream_options: { include_usage: true } };
    expect(await all(await open(fake, {}, asked))).toContainEqual(usageChunk);
    await all(await open(fake, {}, { stream_options: null }));
    expect(fake.requests[2]!.body).toEqual({ ...body, stream_options: null, resumable: true });
  });

  test('textStream: the text of the first choice and nothing else', async () => {
    const other = { ...second, choices: [{ ...second.choices[0]!, index: 1 }, last.choices[0]!] };
    const otherEnd = { ...last, choices: [{ ...last.choices[0]!, index: 1 }] };
    const pieces = [first, other, otherEnd, '[DONE]'].map((data) => `data: ${JSON.stringify(data)}\n\n`);
    const stream = await open(fakeFetch(sse([...pieces.slice(0, 3), 'data: [DONE]\n\n'])));
    expect(await all(stream.textStream)).toEqual(['你好']);
  });

  test('finalMessage reads by itself, and twice', async () => {
    const stream = await open(fakeFetch(sse()));
    expect(await stream.finalMessage()).toEqual({ role: 'assistant', content: text });
    expect(await stream.finalMessage()).toEqual({ role: 'assistant', content: text });
  });

  test('finalMessage beside a loop waits for the loop', async () => {
    const stream = await open(fakeFetch(sse()));
    const [chunks, message] = await Promise.all([all(stream), stream.finalMessage()]);
    expect(chunks).toHaveLength(3);
    expect(message.content).toBe(text);
  });

  test('calls of next that do not wait for each other get each chunk once, in order', async () => {
    const iterator = (await open(fakeFetch(sse())))[Symbol.asyncIterator]();
    const results = await Promise.all(Array.from({ length: 5 }, () => iterator.next()));
    expect(results.map(({ value }) => value)).toEqual([first, second, last, undefined, undefined]);
  });

  test('a second reader is refused', async () => {
    const stream = await open(fakeFetch(sse()));
    await all(stream);
    await expect(all(stream)).rejects.toThrow(HuoziError);
    await expect(all(stream.textStream)).rejects.toThrow(HuoziError);
    expect(() => stream.toReadableStream()).toThrow(HuoziError);
  });

  test('rate limits', async () => {
    const limited = () => {
      const response = sse()();
      response.headers.set('x-ratelimit-limit-tokens', '6000');
      response.headers.set('x-ratelimit-remaining-tokens', '0');
      response.headers.set('x-ratelimit-reset-tokens', '12.5s');
      return response;
    };
    const stream = await open(fakeFetch(limited));
    expect(stream.rateLimit).toEqual({
      requests: { limit: undefined, remaining: undefined, reset: undefined },
      tokens: { limit: 6000, remaining: 0, reset: 12.5 },
    });
  });
});

describe('bytes', () => {
  const whole = new TextEncoder().encode(events.join(''));

  test('torn in two at every byte', async () => {
    for (const line of ['\n', '\r\n', '\r']) {
      const bytes = new TextEncoder().encode(events.join('').replaceAll('\n', line));
      for (let at = 1; at < bytes.length; at++) {
        const stream = await open(fakeFetch(sse([bytes.slice(0, at), bytes.slice(at)])));
        expect(await stream.finalMessage()).toEqual({ role: 'assistant', content: text });
      }
    }
  });

  test('any text, torn anywhere, with any line ends, comments and keep-alives between', async () => {
    const noise = fc.constantFrom(
      '',
      ': ping\n\n',
      'data:\n\n',
      'data: \n\n',
      'id: 7\n: ids 1,2\n',
      'retry: 5\n',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.string({ unit: 'binary' }), noise), { minLength: 1, maxLength: 6 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.array(fc.nat(), { maxLength: 12 }),
        async (parts, line, cuts) => {
          // JSON cannot carry half of a surrogate pair through UTF-8.
          const said = parts.map(([part]) => new TextDecoder().decode(new TextEncoder().encode(part)));
          const chunks = [...said.map((content) => chunk({ content })), last];
          const text = chunks
            .map((one, at) => `${parts[at]?.[1] ?? ''}data: ${JSON.stringify(one)}\n\n`)
            .join('')
            .replaceAll('\n', line);
          const bytes = new TextEncoder().encode(`${text}data: [DONE]${line}${line}`);
          const places = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b);
          const pieces = [0, ...places].map((from, at) => bytes.slice(from, places[at] ?? bytes.length));
          const stream = await open(fakeFetch(sse(pieces)));
          expect(await all(stream)).toEqual(chunks);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('cut off at every byte: the whole answer or a TruncatedError, never a part of it', async () => {
    const end = new TextEncoder().encode(events.slice(0, 3).join('')).length;
    for (let at = 0; at < whole.length; at++) {
      const stream = await open(fakeFetch(sse([whole.slice(0, at)])), { maxRetries: 0 });
      const got = await stream.finalMessage().catch((error) => error.name);
      // Its last event's blank line is all that may be missing.
      if (at >= end - 2) expect(got, `${at}`).toEqual({ role: 'assistant', content: text });
      else expect(got, `${at}`).toBe('TruncatedError');
    }
  });

  test('an event without end is refused, not kept', async () => {
    const flood = Array.from({ length: 12 }, () => 'x'.repeat(2 ** 20));
    const stream = await open(fakeFetch(sse([events[0]!, 'data: ', ...flood], { hang: true })));
    await expect(all(stream)).rejects.toMatchObject({ name: 'ProtocolError' });
  });

  test.each(['null', '5', '"text"', '[]', '{}', '{"choices":null}', '{"choices":[null]}', 'text'])(
    'an event of %s is a ProtocolError',
    async (data) => {
      const stream = await open(fakeFetch(sse([events[0]!, `data: ${data}\n\n`, ...events.slice(1)])));
      const got: ChatCompletionChunk[] = [];
      await expect(
        (async () => {
          for await (const one of stream) got.push(one);
        })(),
      ).rejects.toMatchObject({ name: 'ProtocolError', requestId: 'r-1' });
      expect(got).toEqual([first]);
    },
  );

  test.each([
    ['text/html', '<html>'],
    ['application/json', '{"choices":[]}'],
  ])('a 200 of %s is a ProtocolError', async (type, text) => {
    const stream = await open(fakeFetch(new Response(text, { headers: { 'content-type': type } })));
    await expect(all(stream)).rejects.toMatchObject({ name: 'ProtocolError' });
  });
});

describe('trying again', () => {
  const failing = (data: object) => `data: ${JSON.stringify({ error: data })}\n\n`;

  test('before the first chunk a cut, an error event and a lost connection are tried again', async () => {
    const lost = () => Promise.reject(new TypeError('fetch failed'));
    const cut = sse([': ping\n\n']);
    const stream = await open(fakeFetch(lost, cut, sse()));
    expect(await stream.finalMessage()).toMatchObject({ content: text });

    const fake = fakeFetch(sse([failing({ message: 'm', type: 'server_error' })]), cut, sse());
    const other = await open(fake);
    expect(await other.finalMessage()).toMatchObject({ content: text });
    const keys = fake.requests.map(({ headers }) => headers.get('idempotency-key'));
    expect(keys).toEqual([keys[0], keys[0], keys[0]]);
    expect(keys[0]).toMatch(/^[\d-]{20,}$/);
    expect(fake.requests.map(({ signal }) => signal.aborted)).toEqual([true, true, false]);
  });

  test('all tries of a call count together', async () => {
    const fake = fakeFetch(json({}, { status: 503 }), sse([': ping\n\n']));
    await expect((await open(fake)).finalMessage()).rejects.toMatchObject({ name: 'TruncatedError' });
    expect(fake.requests).toHaveLength(3);
  });

  test('after the first chunk nothing is tried again', async () => {
    const fake = fakeFetch(sse([events[0]!]), sse());
    await expect(all(await open(fake))).rejects.toMatchObject({ name: 'TruncatedError', isRetryable: true });
    expect(fake.requests).toHaveLength(1);
  });

  test('an error event that blames the request is not tried again', async () => {
    const fake = fakeFetch(
      sse([failing({ message: 'too long', type: 'invalid_request_error', param: 'messages' })]),
    );
    await expect(all(await open(fake))).rejects.toMatchObject({ name: 'RequestError', param: 'messages' });
    expect(fake.requests).toHaveLength(1);
  });

  test('two calls have two keys', async () => {
    const fake = fakeFetch(sse());
    await all(await open(fake));
    await all(await open(fake));
    await all(await open(fake, { idempotencyKey: 'mine' }));
    const keys = fake.requests.map(({ headers }) => headers.get('idempotency-key'));
    expect(new Set(keys).size).toBe(3);
    expect(keys[2]).toBe('mine');
  });
});

describe('an answer that is all there', () => {
  test('stays whole when the connection dies before [DONE]', async () => {
    const dying = () => {
      const pieces = events.slice(0, 3).map((event) => new TextEncoder().encode(event));
      const stream = new ReadableStream<Uint8Array>({
        pull: (controller) => {
          const piece = pieces.shift();
          if (piece) controller.enqueue(piece);
          else controller.error(new TypeError('terminated'));
        },
      });
      return new Response(stream, { headers: { 'content-type': 'text/event-stream' } });
    };
    expect(await (await open(fakeFetch(dying))).finalMessage()).toMatchObject({ content: text });
  });

  test('ends at [DONE], though the connection stays open', async () => {
    const fake = fakeFetch(sse(events, { hang: true }));
    expect(await (await open(fake)).finalMessage()).toMatchObject({ content: text });
  });

  test('says nothing after [DONE]', async () => {
    const stream = await open(fakeFetch(sse([...events, events[0]!, 'data: {"error":{"message":"m"}}\n\n'])));
    expect(await all(stream)).toEqual([first, second, last]);
  });
});

describe('deadlines', () => {
  const deadlines = { connect: 1000, firstToken: 5000, idle: 2000 };
  const once = { maxRetries: 0, deadlines };

  /** How far the clock had to go, in steps of 100 ms. */
  async function timeToFail(promise: Promise<unknown>): Promise<[string, number]> {
    let failed: { code: string } | undefined;
    promise.catch((error) => {
      failed = error;
    });
    for (let ms = 0; ms <= 20_000; ms += 100) {
      await vi.advanceTimersByTimeAsync(100);
      if (failed) return [failed.code, ms];
    }
    return ['none', Number.POSITIVE_INFINITY];
  }

  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));

  test('connect', async () => {
    expect(await timeToFail(open(fakeFetch(never), once))).toEqual(['connect', 1000]);
  });

  test('firstToken, which no keep-alive and no bare role extends', async () => {
    const pings = Array.from({ length: 3 }, () => ': ping\n\n');
    const role = `data: ${JSON.stringify(chunk({ role: 'assistant', content: '' }))}\n\n`;
    for (const pieces of [[], pings, [role]]) {
      const stream = await open(fakeFetch(sse(pieces, { hang: true })), once);
      expect(await timeToFail(all(stream))).toEqual(['firstToken', 5000]);
    }
  });

  test('idle', async () => {
    const stream = await open(fakeFetch(sse([events[0]!], { hang: true })), once);
    expect(await timeToFail(all(stream))).toEqual(['idle', 2000]);
  });

  test('idle is not extended by keep-alives', async () => {
    const slowPings = () => {
      const stream = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode(events[0]!)),
        pull: async (controller) => {
          await new Promise((resolve) => setTimeout(resolve, 700));
          controller.enqueue(new TextEncoder().encode(': ping\n\ndata:\n\n'));
        },
      });
      return new Response(stream, { headers: { 'content-type': 'text/event-stream' } });
    };
    expect(await timeToFail(all(await open(fakeFetch(slowPings), once)))).toEqual(['idle', 2000]);
  });

  test('the time that the reader takes is not counted', async () => {
    const stream = await open(fakeFetch(sse()), once);
    await vi.advanceTimersByTimeAsync(60_000);
    const reading = (async () => {
      const got: unknown[] = [];
      for await (const one of stream) {
        got.push(one);
        await new Promise((resolve) => setTimeout(resolve, 10_000));
      }
      return got;
    })();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await reading).toHaveLength(3);
  });

  test('0 is off', async () => {
    const off = { maxRetries: 0, deadlines: { connect: 0, firstToken: 0, idle: 0 } };
    expect(await timeToFail(open(fakeFetch(never), off))).toEqual(['none', Number.POSITIVE_INFINITY]);
    const silent = await open(fakeFetch(sse([], { hang: true })), off);
    expect(await timeToFail(all(silent))).toEqual(['none', Number.POSITIVE_INFINITY]);
    const stalled = await open(fakeFetch(sse([events[0]!], { hang: true })), off);
    expect(await timeToFail(all(stalled))).toEqual(['none', Number.POSITIVE_INFINITY]);
  });

  test('without stream firstToken bounds the wait for the whole answer', async () => {
    const huozi = new Huozi({ baseURL: 'http://edge.test/v1', apiKey: 'k', fetch: fakeFetch(never).fetch });
    const answer = huozi.chat.completions.create({ ...body, stream: false }, once);
    expect(await timeToFail(answer)).toEqual(['firstToken', 5000]);
    expect(await timeToFail(huozi.models.list(once))).toEqual(['connect', 1000]);
  });

  test('Retry-After is waited out, and a longer one than the ceiling thrown', async () => {
    const busy = (seconds: string) => json({}, { status: 503, headers: { 'retry-after': seconds } });
    const fake = fakeFetch(busy('20'), sse());
    const stream = open(fake);
    await vi.advanceTimersByTimeAsync(19_900);
    expect(fake.requests).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(fake.requests).toHaveLength(2);
    await (await stream).finalMessage();
    await expect(open(fakeFetch(busy('61')))).rejects.toMatchObject({ status: 503, retryAfter: 61 });
  });

  test('no timer is left when all is over', async () => {
    await all(await open(fakeFetch(sse()), once));
    await open(fakeFetch(json({}, { status: 400 })), once).catch(() => {});
    (await open(fakeFetch(sse([events[0]!], { hang: true })), once)).abort();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('leaving', () => {
  test('break closes the connection', async () => {
    const fake = fakeFetch(sse([events[0]!], { hang: true }));
    for await (const _ of await open(fake)) break;
    expect(fake.requests[0]!.signal.aborted).toBe(true);
  });

  test('a throwing loop closes it, too; and a break of textStream', async () => {
    const fake = fakeFetch(sse(events, { hang: true }));
    await expect(
      (async () => {
        for await (const _ of await open(fake)) throw new Error('mine');
      })(),
    ).rejects.toThrow('mine');
    for await (const _ of (await open(fake)).textStream) break;
    expect(fake.requests.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  });

  test('a stream that was read to its end leaves its connection for reuse', async () => {
    const fake = fakeFetch(sse());
    await all(await open(fake));
    expect(fake.requests[0]!.signal.aborted).toBe(false);
  });

  test('abort() ends a waiting loop without an error, and there is no final message', async () => {
    const fake = fakeFetch(sse([events[0]!], { hang: true }));
    const stream = await open(fake);
    const reading = all(stream);
    const message = stream.finalMessage();
    setTimeout(() => stream.abort());
    expect(await reading).toEqual([first]);
    await expect(message).rejects.toBeInstanceOf(AbortError);
    expect(fake.requests[0]!.signal.aborted).toBe(true);
    expect(stream.snapshot?.choices[0]?.message.content).toBe('你好');
  });

  test('abort() after the end changes nothing', async () => {
    const stream = await open(fakeFetch(sse()));
    await all(stream);
    stream.abort();
    expect(await stream.finalMessage()).toMatchObject({ content: text });
  });

  test('a signal ends the loop with an AbortError that carries its reason', async () => {
    const controller = new AbortController();
    const stream = await open(fakeFetch(sse([events[0]!], { hang: true })), { signal: controller.signal });
    const reading = all(stream);
    setTimeout(() => controller.abort('enough'));
    await expect(reading).rejects.toMatchObject({ name: 'AbortError', cause: 'enough' });
  });

  test('a used-up signal rejects at once and sends nothing', async () => {
    const fake = fakeFetch(sse());
    await expect(open(fake, { signal: AbortSignal.abort('used up') })).rejects.toMatchObject({
      name: 'AbortError',
      cause: 'used up',
    });
    expect(fake.requests).toHaveLength(0);
  });

  // Each hangs for ever unless the signal ends the wait.
  test.each<[string, (signal: AbortSignal) => Promise<unknown>]>([
    ['for headers', (signal) => open(fakeFetch(never), { signal })],
    [
      'between tries',
      (signal) => open(fakeFetch(json({}, { status: 503, headers: { 'retry-after': '50' } })), { signal }),
    ],
    [
      'for a key',
      (signal) => new Huozi({ baseURL: '/v1', apiKey: () => new Promise(() => {}) }).models.list({ signal }),
    ],
    [
      'for an error’s body',
      (signal) =>
        open(
          fakeFetch(() => new Response(new ReadableStream(), { status: 500 })),
          { signal },
        ),
    ],
  ])('a signal ends the wait %s', async (_, start) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort());
    await expect(start(controller.signal)).rejects.toBeInstanceOf(AbortError);
  });

  test('no listener is left, however a call ends', async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners++;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners--;
      removeEventListener.apply(signal, args);
    };
    const huozi = (fake: FakeFetch, apiKey: string | (() => string) = 'k') =>
      new Huozi({ baseURL: 'http://edge.test/v1', apiKey, fetch: fake.fetch });
    const ends: Record<string, () => Promise<unknown>> = {
      whole: async () => all(await open(fakeFetch(sse()), { signal })),
      truncated: async () => all(await open(fakeFetch(sse([events[0]!])), { signal })),
      refused: () => open(fakeFetch(json({}, { status: 400 })), { signal }),
      'tries used up': () => open(fakeFetch(json({}, { status: 503 })), { signal }),
      json: () => huozi(fakeFetch(json({ data: [] }))).models.list({ signal }),
      'no json': () => huozi(fakeFetch(new Response('<html>'))).models.list({ signal }),
      'the key function throws': () =>
        huozi(fakeFetch(never), () => {
          throw new Error('no key');
        }).models.list({ signal }),
      left: async () => {
        for await (const _ of await open(fakeFetch(sse()), { signal })) break;
      },
      aborted: async () => (await open(fakeFetch(sse()), { signal })).abort(),
      cancelled: async () => (await open(fakeFetch(sse()), { signal })).toReadableStream().cancel(),
    };
    for (const [name, end] of Object.entries(ends)) {
      const before = listeners;
      let added = 0;
      const calling = end().catch(() => {});
      added = listeners - before;
      await calling;
      expect([name, added, listeners]).toEqual([name, 1, 0]);
    }
  });
});

describe('toReadableStream', () => {
  const read = async (stream: ChatStream) => await new Response(stream.toReadableStream()).text();

  test('is valid SSE that another client of ours reads as the same answer', async () => {
    const relayed = await read(await open(fakeFetch(sse()), {}, { stream_options: { include_usage: true } }));
    expect(relayed).toBe(events.join(''));
    expect(await all(await open(fakeFetch(sse([relayed]))))).toEqual([first, second, last]);
  });

  test('a failure becomes an error event, without [DONE]', async () => {
    const relayed = await read(await open(fakeFetch(sse([events[0]!]))));
    expect(relayed).not.toContain('[DONE]');
    await expect(all(await open(fakeFetch(sse([relayed]))))).rejects.toMatchObject({
      type: 'truncated_error',
    });
  });

  test('a stop is not told as an end', async () => {
    const stream = await open(fakeFetch(sse([events[0]!], { hang: true })));
    setTimeout(() => stream.abort());
    expect(await read(stream)).not.toContain('[DONE]');
  });

  test('its cancel closes the connection', async () => {
    const fake = fakeFetch(sse([events[0]!], { hang: true }));
    await (await open(fake)).toReadableStream().cancel();
    expect(fake.requests[0]!.signal.aborted).toBe(true);
  });

  test('reads no faster than it is read', async () => {
    let pulled = 0;
    const endless = () =>
      new Response(
        new ReadableStream<Uint8Array>({
          pull: (controller) => {
            pulled++;
            controller.enqueue(new TextEncoder().encode(events[1]!));
          },
        }),
        { headers: { 'content-type': 'text/event-stream' } },
      );
    const reader = (await open(fakeFetch(endless))).toReadableStream().getReader();
    await reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    expect(pulled).toBeLessThan(6);
    await reader.cancel();
  });
});
