/** Whoever leaves an answer, and however, closes its connection and leaves nothing behind. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AbortError, Huozi } from '../src/index.ts';
import { events, first, text } from './answers.ts';
import { type FakeFetch, fakeFetch, json, never, sse } from './fake-fetch.ts';
import { all, open } from './open-stream.ts';

beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0));
afterEach(() => void vi.restoreAllMocks());

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
