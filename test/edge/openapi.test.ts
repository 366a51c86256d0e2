/** The document and its page, and that the edge answers what the document says. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OpenApiDocument } from '../../src/openapi/document.ts';
import { chat, type Edge, startEdge } from './edge.ts';
import { answer, ScriptedNode } from './scripted-node.ts';

let node: ScriptedNode;
let edge: Edge;
let document: OpenApiDocument & { servers: { url: string }[] };
beforeAll(async () => {
  node = await new ScriptedNode().start();
  node.script = answer('你好！');
  const layer = {
    tokens: 1,
    counts: [1, 1],
    entropy: 1,
    imbalance: 1,
    co_activation: [
      [1, 1],
      [1, 1],
    ],
  };
  const sampled = { steps: 9, steps_sampled: 1, tokens_sampled: 1, sampling_cost: 0.01 };
  node.experts = { mode: 'sampled', since: 1, experts: 2, experts_used: 2, ...sampled, layers: [layer] };
  edge = await startEdge([node]);
  document = await (await fetch(`${edge.url}/openapi.json`)).json();
});
afterAll(async () => {
  await edge?.stop();
  await node?.stop();
});

/** Every property that is not told of is a fault of the document. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, strict(value)]));
  return 'properties' in inner && inner.type === 'object' ? { additionalProperties: false, ...inner } : inner;
}

let ajv: Ajv2020 | undefined;
function check(name: string, value: unknown): void {
  ajv ??= new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true })
    .addVocabulary(['components'])
    .addSchema({ $id: 'doc:', components: { schemas: strict(document.components.schemas) } });
  const validate = ajv.getSchema(`doc:#/components/schemas/${name}`)!;
  expect(validate(value) ? [] : validate.errors).toEqual([]);
}

const get = async (path: string) =>
  (await fetch(edge.url + path, { headers: { authorization: `Bearer ${edge.apiKey}` } })).json();
const post = async (path: string, body: object) => (await edge.post(body, { path })).json();
const eventsOf = async (path: string, body: object) =>
  [...(await (await edge.post({ ...body, stream: true }, { path })).text()).matchAll(/^data: (\{.*)$/gm)].map(
    ([, data]) => JSON.parse(data!) as object,
  );

const response = { model: 'huozi', input: '你好', metadata: { a: 'b' } };

describe('answers are as the document says', () => {
  it('of completions', async () => {
    check('ChatCompletion', await post('/v1/chat/completions', chat()));
    check('TextCompletion', await post('/v1/completions', { model: 'huozi', prompt: '你好' }));
    const events = await eventsOf('/v1/chat/completions', chat({ stream_options: { include_usage: true } }));
    expect(events.length).toBeGreaterThan(3);
    for (const event of events) check('ChatCompletionChunk', event);
    for (const event of await eventsOf('/v1/completions', { model: 'huozi', prompt: '你好' })) {
      check('TextCompletion', event);
    }
  });

  it('of responses', async () => {
    const made = await post('/v1/responses', response);
    check('Response', made);
    const events = await eventsOf('/v1/responses', response);
    expect(events.length).toBeGreaterThan(8);
    for (const event of events) check('ResponseEvent', event);
    check('Response', await get(`/v1/responses/${made.id}`));
    check('InputItemList', await get(`/v1/responses/${made.id}/input_items`));
    check('Response', await post(`/v1/responses/${made.id}/cancel`, {}));
    const deleted = await fetch(`${edge.url}/v1/responses/${made.id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${edge.apiKey}` },
    });
    check('DeletedResponse', await deleted.json());
  });

  it('of models, usage and health', async () => {
    check('ModelList', await get('/v1/models'));
    check('Model', await get('/v1/models/huozi'));
    check('UsageReport', await get('/v1/usage?group_by=model,hour'));
    check('Health', await get('/healthz'));
    check('Error', await get('/v1/models/other'));
    check('Error', await post('/v1/chat/completions', {}));
  });

  it('of the admin API', async () => {
    const { body: key } = await edge.admin('POST', '/keys', {
      name: 'document',
      limits: { requests_per_minute: 5 },
      labels: { a: 'b' },
    });
    check('NewKey', key);
    check('Key', (await edge.admin('GET', `/keys/${key.id}`)).body);
    check('KeyList', (await edge.admin('GET', '/keys')).body);
    check('Key', (await edge.admin('PATCH', `/keys/${key.id}`, { models: ['huozi'] })).body);
    check('NewKey', (await edge.admin('POST', `/keys/${key.id}/rotate`, { overlap_seconds: 5 })).body);
    check('Key', (await edge.admin('DELETE', `/keys/${key.id}`)).body);
    check('UsageReport', (await edge.admin('GET', '/usage?group_by=key')).body);
    check('NodeList', (await edge.admin('GET', '/nodes')).body);
    check('Experts', (await edge.admin('GET', '/experts?model=huozi')).body);
  });
});

describe('the page', () => {
  it('is HTML without a script, under a policy that allows none', async () => {
    const page = await fetch(`${edge.url}/docs`);
    expect(page.headers.get('content-type')).toBe('text/html; charset=UTF-8');
    const policy = page.headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|script-src/);
    const html = await page.text();
    expect(html).not.toMatch(/<script|<style|style=|\bon\w+="|undefined|\[object/);
    for (const path of Object.keys(document.paths)) expect(html).toContain(path);
    for (const name of Object.keys(document.components.schemas)) expect(html).toContain(`id="${name}"`);
    // Every link within the page leads somewhere.
    for (const [, to] of html.matchAll(/href="#([^"]+)"/g)) expect(html).toContain(`id="${to}"`);
    const css = await fetch(`${edge.url}/docs/style.css`);
    expect(css.headers.get('content-type')).toBe('text/css; charset=utf-8');
  });

  it('and the document need no key, and name this edge', () => {
    expect(document.servers).toEqual([{ url: edge.url }]);
    expect(document.openapi).toMatch(/^3\.1/);
  });
});
