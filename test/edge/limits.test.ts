/** Limits on real workerd: exact, however many ask at once and however an answer ends. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { workerds } from '../workerds.ts';
import { chat, edgeBeforeNode, errorOf, keyOf, startEdge, until } from './edge.ts';
import { accept, answer, type Generation, streamOf, textEvent } from './scripted-node.ts';

// No test here is about a slow node, and this one shares a process with a thousand requests.
const { node, edge } = edgeBeforeNode({ ACCEPT_SECONDS: '120' });

/** Bytes and prefix spaces of `用户\n你好`, `\n` and `助手\n`, and four control tokens. */
const promptBound = 13 + 1 + 7 + 3 + 4;

describe('requests a minute', () => {
  it('1,000 at once on a limit of 100: exactly 100 pass', async () => {
    const key = await edge.newKey({ limits: { requests_per_minute: 100 } });
    // So that the node is known: a thousand first requests would each ask it what it serves, and on a busy machine some
    // would not hear in time.
    await key.get('/v1/models');
    const statuses = new Map<number, number>();
    await Promise.all(
      Array.from({ length: 1000 }, async () => {
        const response = await key.post({ stream: true });
        await response.text();
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      }),
    );
    expect(Object.fromEntries(statuses)).toEqual({ 200: 100, 429: 900 });
  }, 60_000);

  it('are told of on every answer, and a refusal says how long to wait', async () => {
    const key = await edge.newKey({ limits: { requests_per_minute: 2, tokens_per_minute: 100_000 } });
    const remaining: (string | null)[] = [];
    for (let at = 0; at < 2; at++) {
      const response = await key.post({ max_tokens: 10 });
      await response.text();
      expect(response.headers.get('x-ratelimit-limit-requests')).toBe('2');
      expect(response.headers.get('x-ratelimit-reset-requests')).toMatch(/^\d+s$/);
      expect(response.headers.get('x-ratelimit-limit-tokens')).toBe('100000');
      remaining.push(response.headers.get('x-ratelimit-remaining-requests'));
    }
    expect(remaining).toEqual(['1', '0']);
    const refused = await key.post();
    expect(refused.headers.get('x-ratelimit-remaining-requests')).toBe('0');
    expect(refused.headers.get('x-should-retry')).toBe('true');
    const wait = Number(refused.headers.get('retry-after'));
    expect(wait).toBeGreaterThan(50);
    expect(wait).toBeLessThanOrEqual(60);
    expect(await errorOf(refused)).toMatchObject({
      status: 429,
      type: 'requests',
      code: 'rate_limit_exceeded',
    });
    // What the key may do without limits is told them as well.
    expect((await key.get('/v1/models')).headers.get('x-ratelimit-remaining-requests')).toBe('0');
  });

  it('of one key do not touch another one', async () => {
    const [full, free] = [await edge.newKey({ limits: { requests_per_minute: 0 } }), await edge.newKey()];
    const refused = await full.post();
    expect(refused.headers.get('x-should-retry')).toBe('false');
    expect((await free.post()).status).toBe(200);
  });
});

describe('tokens a minute', () => {
  it('parallel streams never overspend', async () => {
    const maxTokens = 10;
    const limit = 3 * (promptBound + maxTokens) + 5;
    const key = await edge.newKey({ limits: { tokens_per_minute: limit } });
    // The node uses as much as it was allowed to.
    node.script = (generation) => {
      accept(generation);
      setTimeout(() => generation.response.end(streamOf(generation.request, '字'.repeat(maxTokens))), 200);
    };
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => key.post({ stream: true, max_tokens: maxTokens })),
    );
    const passed = responses.filter(({ status }) => status === 200);
    expect(passed).toHaveLength(3);
    const error = await errorOf(responses.find(({ status }) => status === 429)!);
    expect(error).toMatchObject({ type: 'tokens', code: 'rate_limit_exceeded' });
    await Promise.all(passed.map((response) => response.text()));
    // Settled with the real usage, 5 + 10 each: room for one more estimate, until that is exact as well.
    const more: number[] = [];
    for (let at = 0; at < 12; at++) {
      const response = await key.post({ stream: true, max_tokens: maxTokens });
      more.push(response.status);
      await response.text();
    }
    const all = 3 + more.filter((status) => status === 200).length;
    const [used] = await key.usage();
    const tokens = used!.prompt_tokens + used!.completion_tokens;
    expect(tokens).toBe(all * (5 + maxTokens));
    expect(tokens).toBeLessThanOrEqual(limit);
    expect(all).toBeGreaterThan(3);
  });

  it('a request that never fits is told so', async () => {
    const key = await edge.newKey({ limits: { tokens_per_minute: 100 } });
    const refused = await key.post({ max_tokens: 500 });
    expect(refused.headers.get('x-should-retry')).toBe('false');
    expect(refused.headers.get('retry-after')).toBeNull();
    expect(await errorOf(refused)).toMatchObject({ status: 429, type: 'tokens' });
  });
});

it.each(['tokens_per_day', 'tokens_per_month'])('%s are a quota: no retry helps', async (limit) => {
  const key = await edge.newKey({ limits: { [limit]: promptBound + 10 } });
  await (await key.post({ max_tokens: 10 })).text();
  const refused = await key.post({ max_tokens: 10 });
  expect(refused.headers.get('x-should-retry')).toBe('false');
  expect(await errorOf(refused)).toMatchObject({ status: 429, code: 'insufficient_quota' });
});

describe('what an answer held is free again', () => {
  /** One more fits as soon as nothing is held. */
  const oneAtATime = () => edge.newKey({ limits: { concurrent: 1 } });
  const free = (key: { post(fields?: object): Promise<Response> }) =>
    until(async () => {
      node.script = answer('好');
      const response = await key.post();
      await response.text();
      return response.status === 200;
    });

  it.each([true, false])(
    'at once when it has ended, 30 times one after another (stream: %s)',
    async (stream) => {
      const key = await oneAtATime();
      for (let at = 0; at < 30; at++) {
        const response = await key.post({ stream });
        expect(response.status).toBe(200);
        await response.text();
      }
    },
  );

  it('and not before', async () => {
    const key = await oneAtATime();
    node.script = accept;
    const running = await key.post({ stream: true });
    const refused = await key.post();
    expect(await errorOf(refused)).toMatchObject({ status: 429, type: 'concurrent_requests' });
    const { response, request } = node.generations.at(-1)!;
    response.end(streamOf(request, '好'));
    await running.text();
    await free(key);
  });

  it.each([true, false])('when the client has left (stream: %s)', async (stream) => {
    const key = await oneAtATime();
    node.script = accept;
    const asked = node.generations.length;
    const abort = new AbortController();
    const call = fetch(`${edge.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key.key}` },
      body: JSON.stringify(chat({ stream })),
      signal: abort.signal,
    }).then((response) => response.text());
    await until(() => node.generations[asked]);
    abort.abort();
    await expect(call).rejects.toThrow();
    await free(key);
    const [used] = await key.usage();
    // What the node said of the one, 7 + 3, and of those that made sure.
    expect(used).toMatchObject({ errors: 0, prompt_tokens: 7 + 5 * (used!.requests - 1) });
  });

  const deaths: [string, (generation: Generation) => unknown][] = [
    ['is reset', ({ response }) => response.socket!.resetAndDestroy()],
    ['ends without [DONE]', ({ response }) => response.end()],
  ];
  it.each(deaths)('when the node %s', async (_name, die) => {
    const key = await oneAtATime();
    node.script = (generation) => {
      accept(generation);
      generation.response.write(textEvent(generation.request, 1, '一'));
      setTimeout(() => die(generation), 50);
    };
    await (await key.post({ stream: true })).text();
    await free(key);
  });

  it('when no node took it', async () => {
    const key = await oneAtATime();
    node.script = ({ response }) => response.writeHead(503).end('{}');
    expect((await key.post()).status).toBe(503);
    await free(key);
  });
});

it('an answer that outlasts its lease keeps what it holds', async () => {
  const short = await startEdge([node], [node.url], { bindings: { LEASE_SECONDS: '3' } });
  try {
    const key = await short.newKey({ limits: { concurrent: 1 } });
    node.script = accept;
    const running = await key.post({ stream: true });
    const { response, request } = node.generations.at(-1)!;
    for (let at = 0; at < 5; at++) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect((await key.post()).status).toBe(429);
    }
    response.end(streamOf(request, '好'));
    await running.text();
    const [used] = await key.usage();
    expect(used).toMatchObject({ requests: 1, errors: 0, completion_tokens: 1, unsettled_tokens: 0 });
  } finally {
    await short.stop();
  }
});

it('a reservation survives a worker that is killed, and is charged in full when its lease runs out', async () => {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'huozi-limits-'));
  const options = { stateDirectory, bindings: { LEASE_SECONDS: '8' } };
  const before = workerds();
  const first = await startEdge([node], [node.url], options);
  const settings = { concurrent: 1, tokens_per_day: 300 };
  const { id, key } = await first.newKey({ limits: settings });
  node.script = accept;
  void keyOf(first.url, id, key)
    .post({ stream: true, max_tokens: 150 })
    .then(
      (response) => response.text().catch(() => undefined),
      () => undefined,
    );
  const asked = node.generations.length;
  await until(() => node.generations[asked]);
  const granted = Date.now();
  // So long a write may take; what it takes is a millisecond or so.
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (const pid of workerds()) if (!before.includes(pid)) process.kill(pid, 'SIGKILL');
  await first.stop().catch(() => undefined);

  const second = await startEdge([node], [node.url], options);
  try {
    const again = keyOf(second.url, id, key);
    node.script = answer('好');
    const refused = await again.post({ max_tokens: 10 });
    expect(Date.now() - granted).toBeLessThan(8_000);
    expect(await errorOf(refused)).toMatchObject({ status: 429, type: 'concurrent_requests' });
    await new Promise((resolve) => setTimeout(resolve, granted + 8_200 - Date.now()));
    expect((await again.post({ max_tokens: 10 })).status).toBe(200);
    // 300 less what the killed one held and the small one used.
    expect(await errorOf(await again.post({ max_tokens: 100 }))).toMatchObject({
      code: 'insufficient_quota',
    });
    const [used] = await again.usage();
    expect(used).toMatchObject({ requests: 2, errors: 1, unsettled_tokens: promptBound + 150 });
  } finally {
    await second.stop();
    await rm(stateDirectory, { recursive: true, force: true });
  }
}, 60_000);
