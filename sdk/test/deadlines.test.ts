/** The three deadlines, by a clock that the test moves. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Huozi } from '../src/index.ts';
import { chunk, events } from './answers.ts';
import { fakeFetch, json, never, sse } from './fake-fetch.ts';
import { all, body, open } from './open-stream.ts';

beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(0);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

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
