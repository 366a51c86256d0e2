/**
 * Who leaves, stops: by DELETE, by a closed connection, by not reading, by the node's own end. Scripted,
 * since the moment between two tokens has to be held still; real-engine.test.ts shows it with real decoding.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { Generations } from './generations.ts';
import { type Answer, generateBody, send } from './testing/client.ts';
import type { ScriptedGeneration } from './testing/scripted-engine.ts';
import { startTestNode } from './testing/start.ts';

const remove = async (url: string, id = 'chatcmpl-1') =>
  (await send(url, `/v1/generate/${id}`, undefined, { method: 'DELETE' })).read();

const cancelled = (generation: ScriptedGeneration) =>
  vi.waitFor(() => expect(generation.cancelled).toBe(true));

test('DELETE cancels at the next step and tells the usage, then and later', async () => {
  const { url, engine } = await startTestNode();
  const arrival = engine.arrival();
  const answer = (await send(url, '/v1/generate', generateBody())).read();
  const generation = await arrival;
  generation.text('你', 1, 2);
  const removal = remove(url);
  await cancelled(generation);
  expect(engine.running.size).toBe(1);
  engine.step();

  const usage = { prompt_tokens: 3, completion_tokens: 2, reason: 'cancelled' };
  expect(await (await removal).json()).toEqual({ id: 'chatcmpl-1', usage });
  await answer.ended;
  expect(answer.writes.at(-1)).toBe(
    `: usage ${JSON.stringify(usage)}\ndata: {"error":{"message":"The generation was cancelled.","type":"invalid_request_error","param":null,"code":"generation_cancelled"}}\n\n`,
  );
  expect(await (await remove(url)).json()).toEqual({ id: 'chatcmpl-1', usage });
});

test('DELETE after a good end tells its usage', async () => {
  const { url, engine } = await startTestNode();
  const arrival = engine.arrival();
  const answer = (await send(url, '/v1/generate', generateBody())).read();
  (await arrival).end('stop');
  await answer.ended;
  expect(await (await remove(url)).json()).toEqual({
    id: 'chatcmpl-1',
    usage: { prompt_tokens: 3, completion_tokens: 0, reason: 'stop' },
  });
});

test('DELETE of a request that is not streamed', async () => {
  const { url, engine } = await startTestNode();
  const arrival = engine.arrival();
  const response = send(url, '/v1/generate', generateBody({ events: { stream: false } }));
  const generation = await arrival;
  const removal = remove(url);
  await cancelled(generation);
  engine.step();
  await removal;
  const answer = (await response).read();
  expect(answer.status).toBe(499);
  expect(await answer.json()).toMatchObject({ error: { code: 'generation_cancelled' } });
  expect(JSON.parse(answer.response.headers['x-huozi-usage'] as string)).toMatchObject({
    reason: 'cancelled',
  });
});

test('ended generations are forgotten after their time, and the oldest first at the bound', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    const { url, engine } = await startTestNode({ retainMs: 1000, maxRetained: 2 });
    for (const id of ['a', 'b', 'c']) {
      const arrival = engine.arrival();
      const answer = (await send(url, '/v1/generate', generateBody({ events: { id } }))).read();
      (await arrival).end('stop');
      await answer.ended;
    }
    expect((await remove(url, 'a')).status).toBe(404);
    expect((await remove(url, 'b')).status).toBe(200);
    vi.setSystemTime(Date.now() + 1001);
    expect((await remove(url, 'b')).status).toBe(404);
    expect((await remove(url, 'c')).status).toBe(404);
  } finally {
    vi.useRealTimers();
  }
});

test('a connection that closes cancels at once, before and after the first token', async () => {
  const { url, engine, logged } = await startTestNode();
  for (const begun of [false, true]) {
    const arrival = engine.arrival();
    const answer = (await send(url, '/v1/generate', generateBody())).read();
    const generation = await arrival;
    if (begun) {
      generation.text('你', 1);
      await answer.until('你');
    }
    answer.leave();
    await cancelled(generation);
    engine.step();
  }
  expect(await (await remove(url)).json()).toMatchObject({ usage: { reason: 'cancelled' } });
  expect(logged().filter(({ cause }) => cause === 'client_gone')).toHaveLength(2);
});

test('a connection that closes cancels what is not streamed', async () => {
  const { url, engine } = await startTestNode();
  const arrival = engine.arrival();
  const controller = new AbortController();
  const response = fetch(new URL('/v1/generate', url), {
    method: 'POST',
    headers: { authorization: 'Bearer test-token-0123456789' },
    body: JSON.stringify(generateBody({ events: { stream: false } })),
    signal: controller.signal,
  });
  const generation = await arrival;
  controller.abort();
  await expect(response).rejects.toThrow();
  await cancelled(generation);
  engine.step();
  expect((await remove(url)).status).toBe(200);
});

test('one client that leaves touches nobody else', async () => {
  const { url, engine } = await startTestNode();
  const start = async (id: string): Promise<[Answer, ScriptedGeneration]> => {
    const arrival = engine.arrival();
    return [(await send(url, '/v1/generate', generateBody({ events: { id } }))).read(), await arrival];
  };
  const [leaving, first] = await start('a');
  const [staying, second] = await start('b');
  leaving.leave();
  await cancelled(first);
  engine.step();
  second.text('好', 1);
  second.end('stop');
  await staying.ended;
  expect(second.cancelled).toBe(false);
  expect(staying.text).toContain('[DONE]');
});

test('a client that does not read is cut off at the bound', async () => {
  const { url, engine, logged } = await startTestNode({ maxBufferedBytes: 100_000 });
  const arrival = engine.arrival();
  const answer = await send(url, '/v1/generate', generateBody());
  const generation = await arrival;
  let written = 0;
  // Kernel buffers on loopback hold some megabytes before the node's own buffer begins to fill.
  for (let i = 0; i < 1000 && !generation.cancelled; i++) {
    generation.text('x'.repeat(100_000), 1);
    written += 100_000;
    await delay(1);
  }
  expect(generation.cancelled).toBe(true);
  expect(written).toBeLessThan(50_000_000);
  engine.step();
  expect(await answer.read().ended).toBe(false);
  expect(logged().find(({ cause }) => cause === 'slow_reader')).toMatchObject({
    level: 40,
    id: 'chatcmpl-1',
    msg: 'client does not read: connection closed',
  });
});

test('a client gone while its body was on the way starts nothing, and is no error of ours', async () => {
  const { url, engine, logged } = await startTestNode();
  const whole = JSON.stringify(generateBody());
  const controller = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    async start(stream) {
      stream.enqueue(Buffer.from(whole.slice(0, 20)));
      await delay(50);
      controller.abort();
    },
  });
  await expect(
    fetch(new URL('/v1/generate', url), {
      method: 'POST',
      headers: { authorization: 'Bearer test-token-0123456789' },
      body,
      duplex: 'half',
      signal: controller.signal,
    } as RequestInit),
  ).rejects.toThrow();
  await vi.waitFor(() =>
    expect(logged().map(({ msg }) => msg)).toContain('client left before its request was whole'),
  );
  expect(engine.running.size).toBe(0);
});

test('an engine that refuses leaves no id behind', () => {
  const generations = new Generations();
  const engine = {
    generate() {
      throw new Error('no');
    },
  };
  const start = () => generations.start('a', engine as never, {} as never, {} as never);
  expect(start).toThrow('no');
  expect(start).toThrow('no');
  expect(generations.size).toBe(0);
});
