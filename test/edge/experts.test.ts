/** `GET /v1/experts`, `GET /admin/experts` and `GET /admin/nodes` before several nodes. */
import type { ExpertTelemetry } from 'huozi-gpu-backend/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chat, type Edge, errorOf, startEdge, type TestKey, until } from './edge.ts';
import { refuse, ScriptedNode } from './scripted-node.ts';

const path = '/v1/experts?model=huozi';

function telemetry(counts: number[]): ExpertTelemetry {
  const layer = { tokens: 3, counts, entropy: 0, imbalance: 1, co_activation: counts.map(() => counts) };
  const sampled = { steps: 10, steps_sampled: 1, tokens_sampled: 3, sampling_cost: 0.01 };
  return { mode: 'sampled', since: 7, experts: counts.length, experts_used: 2, ...sampled, layers: [layer] };
}

const nodes = [new ScriptedNode(), new ScriptedNode(), new ScriptedNode()];
let edge: Edge;
let watcher: TestKey;
beforeAll(async () => {
  for (const node of nodes) await node.start();
  nodes[0]!.experts = telemetry([4, 1, 1, 0]);
  nodes[1]!.experts = telemetry([1, 1, 1, 3]);
  edge = await startEdge(nodes);
  watcher = await edge.newKey({ scopes: ['telemetry'] });
});
afterAll(async () => {
  await edge?.stop();
  for (const node of nodes) await node.stop();
});

describe('the experts of all nodes', () => {
  it('are one sum, and the node that does not tell is named', async () => {
    const response = await watcher.get(path);
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const body = (await response.json()) as { layers: unknown[]; nodes: { id: string; status: string }[] };
    expect(body).toMatchObject({ object: 'experts', model: 'huozi', experts: 4, experts_used: 2, steps: 20 });
    expect(body.layers).toMatchObject([{ tokens: 6, counts: [5, 2, 2, 3], imbalance: (5 * 4) / 12 }]);
    expect(body.nodes.map(({ status }) => status)).toEqual(['counted', 'counted', 'silent']);
    // Where a node is, is no business of a key's.
    for (const { url } of nodes) expect(JSON.stringify(body)).not.toContain(new URL(url).port);
    const { body: shown } = await edge.admin('GET', '/nodes');
    expect(shown.data.map((node: { id: string }) => node.id)).toEqual(body.nodes.map(({ id }) => id));
  });

  it('are asked for once a second at most, however many poll', async () => {
    const before = nodes[0]!.expertsAsked;
    const begin = Date.now();
    for (let poll = 0; poll < 40; poll++) expect((await watcher.get(path)).status).toBe(200);
    const seconds = (Date.now() - begin) / 1_000;
    expect(nodes[0]!.expertsAsked - before).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
  });

  it('follow what the nodes say', async () => {
    nodes[0]!.experts = telemetry([14, 1, 1, 0]);
    const newest = await until(async () => {
      const body = (await (await watcher.get(path)).json()) as { layers: { counts: number[] }[] };
      return body.layers[0]!.counts[0] === 15 && body;
    });
    expect(newest.layers[0]!.counts).toEqual([15, 2, 2, 3]);
  });

  it('are for the admin as well', async () => {
    const { status, body } = await edge.admin('GET', '/experts?model=huozi');
    expect(status).toBe(200);
    expect(body.layers).toHaveLength(1);
  });

  it('need a key that names the scope', async () => {
    for (const settings of [{}, { scopes: ['inference', 'models', 'usage', 'priority'] }]) {
      const refused = await errorOf(await (await edge.newKey(settings)).get(path));
      expect(refused).toMatchObject({ status: 403, code: 'missing_scope', message: /telemetry/ });
    }
    expect((await fetch(edge.url + path)).status).toBe(401);
    expect((await fetch(`${edge.url}/admin/experts?model=huozi`)).status).toBe(401);
    const other = await edge.newKey({ scopes: ['telemetry'], models: ['other'] });
    expect(await errorOf(await other.get(path))).toMatchObject({ status: 403, code: 'model_not_allowed' });
  });

  it.each([
    ['/v1/experts', { status: 400, param: 'model' }],
    ['/v1/experts?model=', { status: 400, param: 'model' }],
    ['/v1/experts?model=huozi&layer=1', { status: 400, param: 'layer' }],
    ['/v1/experts?model=other', { status: 404, code: 'model_not_found' }],
  ])('%s: %j', async (wrong, expected) => {
    expect(await errorOf(await watcher.get(wrong))).toMatchObject(expected);
  });
});

it('no node that tells: 503', async () => {
  const mute = await new ScriptedNode().start();
  const alone = await startEdge([mute]);
  try {
    const key = await alone.newKey({ scopes: ['telemetry'] });
    expect(await errorOf(await key.get(path))).toMatchObject({ status: 503, code: 'no_node_available' });
  } finally {
    await alone.stop();
    await mute.stop();
  }
});

it('a node that fails again and again is shown with its breaker open', async () => {
  const [, , third] = nodes;
  third!.script = refuse(503, { message: 'x', type: 'x', param: null, code: 'model_loading' });
  const open = await until(async () => {
    await (await edge.post(chat())).text();
    const { body } = await edge.admin('GET', '/nodes');
    const at = (wanted: ScriptedNode) => body.data.find(({ url }: { url: string }) => url === wanted.url);
    return at(third!).breaker.failures > 2 && [at(third!), at(nodes[0]!)];
  });
  expect(open[0]).toMatchObject({ up: true, info: { model: 'huozi', context_length: 4096 } });
  expect(open[0].breaker.open_until).toBeTypeOf('number');
  expect(open[0].info).not.toHaveProperty('prefixes');
  expect(open[1].breaker).toEqual({ state: 'closed', failures: 0, open_until: null });
});
