/** A streamed answer as its reader sees it. */
import { describe, expect, test } from 'vitest';
import { HuoziError } from '../src/index.ts';
import { events, first, last, second, text, usage, usageChunk } from './answers.ts';
import { fakeFetch, sse } from './fake-fetch.ts';
import { all, body, open } from './open-stream.ts';

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
