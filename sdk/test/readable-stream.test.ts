/** `toReadableStream`: the answer as bytes for the next server. */
import { expect, test } from 'vitest';
import type { ChatStream } from '../src/index.ts';
import { events, first, last, second } from './answers.ts';
import { fakeFetch, sse } from './fake-fetch.ts';
import { all, open } from './open-stream.ts';

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
