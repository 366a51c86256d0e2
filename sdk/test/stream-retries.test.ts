/** A stream is asked for again until its first chunk, and never after it. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { events, text } from './answers.ts';
import { fakeFetch, json, sse } from './fake-fetch.ts';
import { all, open } from './open-stream.ts';

beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0));
afterEach(() => void vi.restoreAllMocks());

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
