import { expect, test, vi } from 'vitest';
import { generateBody, send } from './testing/client.ts';
import { startTestNode } from './testing/start.ts';

const readyz = async (url: string) => (await send(url, '/readyz', undefined, { token: null })).status;

test('draining: nothing new, what runs may end, then the engine is closed', async () => {
  const { url, engine, node } = await startTestNode();
  const arrival = engine.arrival();
  const answer = (await send(url, '/v1/generate', generateBody())).read();
  const generation = await arrival;
  const drained = node.drain(60_000);

  expect(await readyz(url)).toBe(503);
  expect((await send(url, '/healthz', undefined, { token: null })).status).toBe(200);
  const refused = (await send(url, '/v1/generate', generateBody({ events: { id: 'b' } }))).read();
  expect(refused.status).toBe(503);
  expect(refused.response.headers['retry-after']).toBe('5');
  expect(await refused.json()).toMatchObject({ error: { code: 'node_draining' } });
  expect((await send(url, '/v1/node')).status).toBe(200);

  generation.text('完', 1);
  generation.end('stop');
  await answer.ended;
  expect(answer.text).toContain('[DONE]');
  await drained;
  expect(engine.closed).toBe(true);
  await expect(send(url, '/healthz')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('past its limit a drain cancels, and says so on the stream', async () => {
  const { url, engine, node } = await startTestNode();
  const arrival = engine.arrival();
  const answer = (await send(url, '/v1/generate', generateBody())).read();
  const generation = await arrival;
  const drained = node.drain(20);
  await vi.waitFor(() => expect(generation.cancelled).toBe(true));
  engine.step();
  expect(await answer.ended).toBe(true);
  expect(answer.text).toMatch(
    /^: usage \{.*"reason":"cancelled"\}\ndata: \{"error":.*"code":"node_draining"\}\}\n\n$/,
  );
  await drained;
});

test('an engine that hangs does not hold the drain', async () => {
  const { url, engine, node, logged } = await startTestNode({ closeMs: 50 });
  engine.close = () => new Promise(() => undefined);
  const arrival = engine.arrival();
  const answer = (await send(url, '/v1/generate', generateBody())).read();
  await arrival;
  await node.drain(10);
  expect(await answer.ended).toBe(false);
  expect(logged().at(-1)).toMatchObject({ level: 50, msg: 'the engine did not close in time' });
});

test('an idle kept connection does not hold the drain', async () => {
  const { url, node } = await startTestNode();
  await (await fetch(new URL('/healthz', url))).text();
  await node.drain(60_000);
  await expect(fetch(new URL('/healthz', url))).rejects.toThrow();
});
