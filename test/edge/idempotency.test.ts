/** Retries under one Idempotency-Key, on real workerd before a node that does what a test says. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chat, edgeBeforeNode, errorOf, startEdge, until, withoutPings } from './edge.ts';
import { accept, answer, refuse, streamOf, textEvent } from './scripted-node.ts';

const { node, edge } = edgeBeforeNode();
let keys = 0;
const newKey = () => `retry ${++keys}`;
const post = (key: string, body: object | string, path?: string) =>
  edge.post(body, { headers: { 'idempotency-key': key }, ...(path && { path }) });
const isReplayed = (response: Response) => response.headers.get('idempotent-replayed') === 'true';

describe.each([
  ['/v1/chat/completions', chat()],
  ['/v1/chat/completions', chat({ stream: true })],
  ['/v1/chat/completions', chat({ stream: true, resumable: true })],
  ['/v1/completions', { model: 'huozi', prompt: '从前' }],
  ['/v1/completions', { model: 'huozi', prompt: '从前', stream: true }],
  ['/v1/responses', { model: 'huozi', input: '你好' }],
  ['/v1/responses', { model: 'huozi', input: '你好', stream: true }],
])('%s %j', (path, body) => {
  it('is answered twice alike, generated once and billed once', async () => {
    const key = newKey();
    node.script = answer('你好！');
    const asked = node.generations.length;
    const first = await post(key, body, path);
    expect([first.status, isReplayed(first)]).toEqual([200, false]);
    const text = withoutPings(await first.text());
    const second = await post(key, body, path);
    expect([second.status, isReplayed(second)]).toEqual([200, true]);
    expect(second.headers.get('content-type')).toBe(first.headers.get('content-type'));
    expect(withoutPings(await second.text()).trim()).toBe(text.trim());
    expect(node.generations.length).toBe(asked + 1);
    expect(await edge.metered(node.generations.at(-1)!.request.events.id)).toHaveLength(1);
  });

  it('is joined while it runs, from its beginning', async () => {
    const key = newKey();
    node.script = accept;
    const asked = node.generations.length;
    const first = post(key, body, path);
    const { request, response } = await until(() => node.generations[asked]);
    response.write(textEvent(request, 1, '你'));
    const others = Array.from({ length: 3 }, () => post(key, body, path));
    await Promise.all(others);
    response.end(streamOf(request, '你好！').slice(textEvent(request, 1, '你').length));
    const texts = await Promise.all(
      [first, ...others].map(async (one) => withoutPings(await (await one).text()).trim()),
    );
    expect(new Set(texts).size).toBe(1);
    expect(texts[0]).toContain('好');
    expect(node.generations.length).toBe(asked + 1);
  });
});

it('two at once are one', async () => {
  const key = newKey();
  const asked = node.generations.length;
  const both = await Promise.all([post(key, chat()), post(key, chat())]);
  expect(await both[0].json()).toEqual(await both[1].json());
  expect(both.filter(isReplayed)).toHaveLength(1);
  expect(node.generations.length).toBe(asked + 1);
});

it('another body, or another path, is a 409 that is not to be retried', async () => {
  const key = newKey();
  await (await post(key, chat())).text();
  for (const other of [
    post(key, chat({ seed: 1 })),
    post(key, `${JSON.stringify(chat())} `),
    post(key, { model: 'huozi', prompt: '你好' }, '/v1/completions'),
  ]) {
    const refused = await other;
    expect(refused.headers.get('x-should-retry')).toBe('false');
    expect(await errorOf(refused)).toMatchObject({
      status: 409,
      type: 'invalid_request_error',
      code: 'idempotency_key_reused',
    });
  }
});

it('is each API key’s own', async () => {
  const key = newKey();
  await (await post(key, chat())).text();
  const asked = node.generations.length;
  const { key: apiKey } = await edge.newKey();
  const headers = { 'idempotency-key': key, authorization: `Bearer ${apiKey}` };
  const other = await edge.post(chat({ seed: 1 }), { headers });
  expect([other.status, isReplayed(other)]).toEqual([200, false]);
  expect(node.generations.length).toBe(asked + 1);
});

it('what failed is not kept: the retry is another try', async () => {
  const key = newKey();
  node.script = refuse(503, {});
  expect(await errorOf(await post(key, chat()))).toMatchObject({ status: 503, code: 'no_node_available' });
  node.script = answer('好');
  const again = await post(key, chat());
  expect([again.status, isReplayed(again)]).toEqual([200, false]);
  const bad = newKey();
  expect(await errorOf(await post(bad, chat({ wrong: 1 })))).toMatchObject({ status: 400, param: 'wrong' });
  expect((await post(bad, chat())).status).toBe(200);
  const half = newKey();
  node.script = (generation) => {
    accept(generation);
    generation.response.end(textEvent(generation.request, 1, '半'));
  };
  expect(await (await post(half, chat({ stream: true }))).text()).toContain('"code":"node_lost"');
  node.script = answer('好');
  expect(await (await post(half, chat({ stream: true }))).text()).toContain('[DONE]');
});

it.each(['', 'x'.repeat(256), 'caf\u00e9'])('%j is no key', async (key) => {
  expect(await errorOf(await post(key, chat()))).toMatchObject({ status: 400, param: 'Idempotency-Key' });
});

it('counts once against the limits, and says how they stand', async () => {
  const { key: apiKey } = await edge.newKey({ limits: { requests_per_minute: 1 } });
  const headers = { authorization: `Bearer ${apiKey}`, 'idempotency-key': newKey() };
  const first = await edge.post(chat(), { headers });
  expect(first.headers.get('x-ratelimit-remaining-requests')).toBe('0');
  await first.text();
  expect((await edge.post(chat(), { headers })).status).toBe(200);
  const other = await edge.post(chat(), { headers: { ...headers, 'idempotency-key': newKey() } });
  expect(other.status).toBe(429);
  expect(other.headers.get('retry-after')).toBeTruthy();
});

it('a client that has left can be followed by its retry; DELETE stops the node at once', async () => {
  const key = newKey();
  node.script = accept;
  const asked = node.generations.length;
  const abort = new AbortController();
  const first = await fetch(`${edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${edge.apiKey}`, 'idempotency-key': key },
    body: JSON.stringify(chat({ stream: true })),
    signal: abort.signal,
  });
  const generation = await until(() => node.generations[asked]);
  generation.response.write(textEvent(generation.request, 1, '你'));
  await first.body!.getReader().read();
  abort.abort();
  const again = await post(key, chat({ stream: true }));
  expect(isReplayed(again)).toBe(true);
  const reader = again.body!.getReader();
  let text = '';
  while (!text.includes('你')) text += new TextDecoder().decode((await reader.read()).value);
  expect(generation.abandoned).toBe(false);
  const stopped = await fetch(edge.url + again.headers.get('x-huozi-stream')!, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${edge.apiKey}` },
  });
  expect(await stopped.json()).toMatchObject({ status: 'cancelled' });
  await until(() => node.cancelled.includes(generation.request.events.id));
  const [line] = await edge.metered(generation.request.events.id);
  expect(line).toMatchObject({ reason: 'cancelled' });
});

it('an answer that nobody follows any more is stopped after a while', async () => {
  node.script = accept;
  const asked = node.generations.length;
  const abort = new AbortController();
  const left = fetch(`${edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${edge.apiKey}`, 'idempotency-key': newKey() },
    body: JSON.stringify(chat({ stream: true })),
    signal: abort.signal,
  });
  const generation = await until(() => node.generations[asked]);
  await left;
  abort.abort();
  await generation.closed;
  await until(() => node.cancelled.includes(generation.request.events.id));
}, 40_000);

it('is kept as long as the operator says, over a restart as well', async () => {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'huozi-idempotency-'));
  const options = { stateDirectory, bindings: { STREAM_RETENTION_SECONDS: '3' } };
  const headers = { 'idempotency-key': newKey() };
  const first = await startEdge([node], [node.url], options);
  const asked = node.generations.length;
  const authorization = `Bearer ${first.apiKey}`;
  const text = await (await first.post(chat(), { headers })).text();
  const stream = await first.post(chat({ stream: true, resumable: true }));
  await stream.text();
  const path = stream.headers.get('x-huozi-stream')!;
  await first.stop();
  const second = await startEdge([node], [node.url], options);
  try {
    const again = await second.post(chat(), { headers: { ...headers, authorization } });
    // It may be over already on a busy machine; it must not be something else.
    if (isReplayed(again)) expect((await again.text()).trim()).toBe(text.trim());
    await until(
      async () =>
        (await fetch(second.url + path, { headers: { authorization } })).status === 404 || undefined,
    );
    await until(async () => {
      const late = await second.post(chat(), { headers: { ...headers, authorization } });
      await late.text();
      return !isReplayed(late) || undefined;
    });
    expect(node.generations.length).toBeGreaterThan(asked + 2);
  } finally {
    await second.stop();
    await rm(stateDirectory, { recursive: true, force: true });
  }
}, 60_000);
