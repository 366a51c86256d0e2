/** The life of a key through the admin API, on real Durable Objects. */
import { describe, expect, it } from 'vitest';
import { adminToken, chat, edgeBeforeNode, errorOf, keyOf, until } from './edge.ts';
import { answer } from './scripted-node.ts';

const { node, edge } = edgeBeforeNode();

const now = () => Math.floor(Date.now() / 1000);

describe('a key', () => {
  it('is shown once, and listed without itself or its hash', async () => {
    const settings = {
      name: 'team a',
      limits: { requests_per_minute: 10, tokens_per_day: 1_000_000 },
      models: ['huozi'],
      scopes: ['inference'],
      labels: { team: 'a' },
      expires_at: now() + 1000,
    };
    const created = await edge.admin('POST', '/keys', settings);
    expect(created.status).toBe(201);
    const { key, id, ...shown } = created.body;
    expect(key).toMatch(new RegExp(`^hz_${id}_\\w{43}_\\w{22}$`));
    expect(shown).toMatchObject({ object: 'key', ...settings, revoked_at: null });
    const again = await edge.admin('GET', `/keys/${id}`);
    expect(again.body).toEqual({ id, ...shown });
    const list = await edge.admin('GET', '/keys?limit=1');
    expect(list.body).toEqual({ object: 'list', data: [{ id, ...shown }], has_more: true });
    expect(JSON.stringify([again, list])).not.toMatch(/hz_|hash/);
  });

  it('revoked is refused at the next request, also one that is rotated or known for long', async () => {
    const key = await edge.newKey();
    expect((await key.post()).status).toBe(200);
    expect((await edge.admin('DELETE', `/keys/${key.id}`)).body.revoked_at).toBeTypeOf('number');
    for (const response of [await key.post(), await key.get('/v1/models'), await key.get('/v1/usage')]) {
      const error = await errorOf(response);
      expect(error).toMatchObject({ status: 401, code: 'invalid_api_key', message: /revoked/ });
    }
    expect((await edge.admin('POST', `/keys/${key.id}/rotate`)).status).toBe(400);
  });

  it('expires', async () => {
    const key = await edge.newKey({ expires_at: now() - 1 });
    expect(await errorOf(await key.post())).toMatchObject({ status: 401, message: /expired/ });
    await edge.admin('PATCH', `/keys/${key.id}`, { expires_at: null });
    expect((await key.post()).status).toBe(200);
  });

  it('rotated: both open for the overlap, then the new one alone', async () => {
    const old = await edge.newKey();
    const rotated = await edge.admin('POST', `/keys/${old.id}/rotate`, { overlap_seconds: 2 });
    const fresh = keyOf(edge.url, old.id, rotated.body.key);
    expect(fresh.key).not.toBe(old.key);
    expect([(await old.post()).status, (await fresh.post()).status]).toEqual([200, 200]);
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    expect([(await old.post()).status, (await fresh.post()).status]).toEqual([401, 200]);
    const next = keyOf(edge.url, old.id, (await edge.admin('POST', `/keys/${old.id}/rotate`)).body.key);
    expect([(await fresh.post()).status, (await next.post()).status]).toEqual([401, 200]);
  });

  it('opens its scopes and models alone', async () => {
    const reader = await edge.newKey({ scopes: ['models'], models: ['other'] });
    expect(await errorOf(await reader.post())).toMatchObject({ status: 403, code: 'missing_scope' });
    expect(await (await reader.get('/v1/models')).json()).toEqual({ object: 'list', data: [] });
    expect(await errorOf(await reader.get('/v1/usage'))).toMatchObject({ status: 403 });
    const writer = await edge.newKey({ scopes: ['inference'], models: ['other'] });
    const refused = await errorOf(await writer.post());
    expect(refused).toMatchObject({ status: 403, code: 'model_not_allowed', param: 'model' });
    // What is not served is not told to who may not use it.
    expect(await errorOf(await writer.post({ model: 'unknown' }))).toMatchObject({ status: 403 });
    expect(await errorOf(await writer.post({ model: 'other' }))).toMatchObject({ status: 404 });
    await edge.admin('PATCH', `/keys/${writer.id}`, { models: null });
    expect((await writer.post()).status).toBe(200);
  });

  it('changes one limit and keeps the others', async () => {
    const { id } = await edge.newKey({ limits: { concurrent: 3, tokens_per_day: 9 } });
    const changed = await edge.admin('PATCH', `/keys/${id}`, {
      limits: { concurrent: null, tokens_per_month: 5 },
      name: 'renamed',
    });
    expect(changed.body).toMatchObject({ name: 'renamed' });
    expect(changed.body.limits).toEqual({ tokens_per_day: 9, tokens_per_month: 5 });
  });
});

it('lists page by page, newest first', async () => {
  const made: string[] = [];
  for (let at = 0; at < 5; at++) made.unshift((await edge.newKey({ name: 'paged' })).id);
  const got: string[] = [];
  for (let after = '', more = true; more; ) {
    const { body } = await edge.admin('GET', `/keys?name=paged&limit=2${after}`);
    got.push(...body.data.map((key: { id: string }) => key.id));
    after = `&after=${got.at(-1)}`;
    more = body.has_more;
  }
  expect(got).toEqual(made);
});

describe('the admin API refuses', () => {
  it.each([
    ['POST', '/keys', {}, 'name'],
    ['POST', '/keys', { name: '' }, 'name'],
    ['POST', '/keys', { name: 'x', limit: {} }, 'limit'],
    ['POST', '/keys', { name: 'x', limits: { rpm: 1 } }, 'limits.rpm'],
    ['POST', '/keys', { name: 'x', limits: { concurrent: -1 } }, 'limits.concurrent'],
    ['POST', '/keys', { name: 'x', limits: { tokens_per_day: 1.5 } }, 'limits.tokens_per_day'],
    ['POST', '/keys', { name: 'x', scopes: ['root'] }, 'scopes.0'],
    ['POST', '/keys', { name: 'x', expires_at: 'tomorrow' }, 'expires_at'],
    ['GET', '/keys?limit=0', undefined, 'limit'],
    ['GET', '/usage?group_by=owner', undefined, 'group_by.0'],
    ['GET', '/usage?from=2026-13-45', undefined, 'from'],
  ])('%s %s %j by the name of the field', async (method, path, body, param) => {
    const response = await edge.admin(method, path, body);
    expect(response).toMatchObject({ status: 400, body: { error: { param } } });
  });

  it.each(['GET', 'PATCH', 'DELETE'])('%s of a key that is not there', async (method) => {
    const body = method === 'PATCH' ? {} : undefined;
    for (const id of ['nobody', 'x'.repeat(99), 'a_b'])
      expect(await edge.admin(method, `/keys/${id}`, body)).toMatchObject({
        status: 404,
        body: { error: { code: 'key_not_found' } },
      });
  });

  it('who does not show its token, and after ten tries also who then guesses it', async () => {
    const as = (token: string, address: string) =>
      fetch(`${edge.url}/admin/keys`, {
        headers: { authorization: `Bearer ${token}`, 'cf-connecting-ip': address },
      });
    expect((await fetch(`${edge.url}/admin/keys`)).status).toBe(401);
    const statuses: number[] = [];
    for (let at = 0; at < 13; at++) statuses.push((await as(`guess-${at}`, '192.0.2.1')).status);
    expect(statuses).toEqual([...new Array(11).fill(401), 429, 429]);
    const guessed = await as(adminToken, '192.0.2.1');
    expect(guessed.status).toBe(429);
    expect(Number(guessed.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    expect((await as(adminToken, '192.0.2.2')).status).toBe(200);
  });
});

it('shows every node as it is now', async () => {
  const { body } = await edge.admin('GET', '/nodes');
  expect(body.data).toEqual([
    {
      id: expect.stringMatching(/^[0-9a-f]{8}$/),
      url: node.url,
      up: true,
      sent: expect.any(Number),
      breaker: { state: 'closed', failures: 0, open_until: null },
      info: expect.objectContaining({ model: 'huozi' }),
    },
  ]);
  expect(JSON.stringify(body)).not.toContain(node.token);
});

it('slows who guesses keys, and nobody else behind the same address', async () => {
  const guess = () =>
    fetch(`${edge.url}/v1/models`, {
      headers: {
        authorization: `Bearer hz_x_${'0'.repeat(43)}_${'1'.repeat(22)}`,
        'cf-connecting-ip': '192.0.2.9',
      },
    });
  const statuses: number[] = [];
  for (let at = 0; at < 40; at++) statuses.push((await guess()).status);
  expect(statuses).toEqual([...new Array(30).fill(401), ...new Array(10).fill(429)]);
  const good = await edge.post(chat(), { headers: { 'cf-connecting-ip': '192.0.2.9' } });
  expect(good.status).toBe(200);
});

describe('usage', () => {
  it('is the sum of what the clients saw, for the owner, and for the admin', async () => {
    const [one, other] = [await edge.newKey(), await edge.newKey()];
    let tokens = 0;
    for (let at = 1; at <= 6; at++) {
      node.script = answer('好'.repeat(at));
      const stream = at % 2 === 0;
      const response = await one.post({ stream, ...(stream && { stream_options: { include_usage: true } }) });
      const text = await response.text();
      tokens += Number(/"completion_tokens":(\d+)/.exec(text)![1]);
    }
    await (await other.post()).text();
    const rows = await one.usage('?group_by=model,hour');
    const sum = (field: 'requests' | 'completion_tokens' | 'prompt_tokens') =>
      rows.reduce((total, row) => total + row[field], 0);
    expect(sum('requests')).toBe(6);
    expect(sum('completion_tokens')).toBe(tokens);
    expect(sum('prompt_tokens')).toBe(6 * 5);
    const counted = rows.flatMap((row) => row.duration_ms.counts);
    expect(counted.reduce((total, count) => total + count, 0)).toBe(6);

    const live = (await edge.admin('GET', `/usage?key=${one.id}&group_by=key`)).body.data;
    expect(live).toMatchObject([{ key: one.id, requests: 6, completion_tokens: tokens }]);
    // The sum over all keys hears of it by itself, within ten seconds and a bit.
    for (;;) {
      const { data } = (await edge.admin('GET', '/usage?group_by=key')).body;
      const rowOf = (id: string) => data.find((row: { key: string }) => row.key === id);
      if (rowOf(one.id)?.requests === 6 && rowOf(other.id)) {
        expect(rowOf(one.id)).toMatchObject({ completion_tokens: tokens, errors: 0 });
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  });

  it('counts what failed, and what a client left', async () => {
    const key = await edge.newKey();
    node.script = ({ response }) => response.writeHead(500).end('{}');
    expect((await key.post()).status).toBe(502);
    const report = await until(async () => {
      const [row] = await key.usage();
      return row!.requests === 1 && row;
    });
    expect(report).toMatchObject({ errors: 1, completion_tokens: 0 });
  });
});
