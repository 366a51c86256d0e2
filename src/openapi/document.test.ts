import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Hono } from 'hono';
import { describe, expect, it, vi } from 'vitest';
import { openApiDocument } from './document.ts';
import { inputSchema } from './json-schema.ts';
import { operations } from './operations.ts';

// What index.ts exports beside the app are Durable Objects, which nothing here makes.
vi.mock('cloudflare:workers', () => ({ DurableObject: class {} }));

const accepts = (route: string, body: unknown) =>
  operations[route]!.body!.some((schema) => schema.safeParse(body).success);

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
const told = new Map(
  Object.entries(operations)
    .filter(([, { body }]) => body)
    .map(([route, { body }]) => [route, ajv.compile({ anyOf: body!.map(inputSchema) })]),
);

it('is a valid document of OpenAPI 3.1, with every reference there', async () => {
  const validator = new Validator();
  const document = JSON.parse(JSON.stringify(openApiDocument()));
  expect(await validator.validate(document)).toEqual({ valid: true });
  expect(validator.version).toBe('3.1');
  // Resolving throws where a reference leads nowhere.
  expect(JSON.stringify(validator.resolveRefs())).not.toContain('"$ref"');
});

it('has every route of the app, and no other', async () => {
  // By a name that the compiler does not follow: the worker's types are not those of tests.
  const index = '../index.ts';
  const { default: app } = (await import(index)) as { default: Hono };
  const served = app.routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{[^}]*\})?/g, '{$1}')}`);
  expect([...new Set(served)].toSorted()).toEqual(Object.keys(operations).toSorted());
});

describe('examples', () => {
  it.each(Object.entries(operations).filter(([, { body }]) => body))('of %s', (route, { example }) => {
    expect(accepts(route, example)).toBe(true);
    expect(told.get(route)!(example)).toBe(true);
  });
});

/** What is told of a body and what is done with it are two things made of one: they must agree. */
describe('bodies are told as they are taken', () => {
  const chat = 'POST /v1/chat/completions';
  const response = 'POST /v1/responses';
  const messages = [{ role: 'user', content: '好' }];
  const call = { type: 'function_call', call_id: 'x', name: 'f', arguments: '{}' };
  it.each([
    [chat, { messages }, true],
    [chat, { messages, stop: 'x' }, true],
    [chat, { messages, stop: ['x', 'y'] }, true],
    [chat, { messages, stop: 3 }, false],
    [chat, { messages, stop: [''] }, false],
    [chat, { messages: [{ role: 'user', content: [{ type: 'text', text: '好' }] }] }, true],
    [chat, { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, false],
    [chat, { messages: [{ role: 'wizard', content: '好' }] }, false],
    [chat, { messages: [{ role: '用户', content: '好' }] }, true],
    [chat, { messages: [] }, false],
    [chat, { messages, temperature: 2.1 }, false],
    [chat, { messages, top_k: -1 }, true],
    [chat, { messages, n: 9 }, false],
    [chat, { messages, wrong: 1 }, false],
    [chat, { messages, tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: 'auto' }, true],
    [chat, { messages, tools: [{ type: 'function', function: { name: 'f g' } }] }, false],
    [chat, { messages, tool_choice: 'always' }, false],
    [chat, { messages, response_format: { type: 'json_object' } }, true],
    [chat, { messages, response_format: { type: 'xml' } }, false],
    [chat, { messages, logit_bias: { 5: 1 } }, true],
    [chat, { messages, logit_bias: { five: 1 } }, false],
    [chat, { messages, guided_json: '{"type":"object"}' }, true],
    [chat, {}, false],
    ['POST /v1/completions', { prompt: '好' }, true],
    ['POST /v1/completions', { prompt: ['好'] }, true],
    ['POST /v1/completions', { prompt: ['好', '好'] }, false],
    ['POST /v1/completions', { prompt: [1] }, false],
    [response, { input: '好' }, true],
    [response, { input: messages }, true],
    [response, { input: [{ type: 'message', ...messages[0] }, call] }, true],
    [response, { input: [{ ...call, name: undefined }] }, false],
    [response, { input: [{ type: 'reasoning' }] }, false],
    [response, { input: 3 }, false],
    [response, { input: '好', tools: [{ type: 'function', name: 'f' }] }, true],
    [response, { input: '好', tools: [{ type: 'web_search' }] }, false],
    [response, { input: '好', truncation: 'auto' }, true],
    ['POST /v1/tokenize', { prompt: '好' }, true],
    ['POST /v1/tokenize', { messages }, true],
    ['POST /v1/tokenize', {}, false],
    ['POST /admin/keys', { name: 'a', expires_at: '2030-01-01' }, true],
    ['POST /admin/keys', { name: 'a', expires_at: 1_900_000_000 }, true],
    ['POST /admin/keys', { name: 'a', limits: { concurrent: null } }, true],
    ['POST /admin/keys', { name: 'a', limits: { concurrent: -1 } }, false],
    ['POST /admin/keys', { name: '' }, false],
    ['PATCH /admin/keys/{id}', { models: null }, true],
    ['POST /admin/keys/{id}/rotate', {}, true],
    ['POST /admin/keys/{id}/rotate', { overlap_seconds: 'long' }, false],
  ])('%s %j: %j', (route, fields, taken) => {
    const body = JSON.parse(
      JSON.stringify(route.startsWith('POST /v1') ? { model: 'huozi', ...fields } : fields),
    );
    expect(accepts(route, body)).toBe(taken);
    expect(told.get(route)!(body)).toBe(taken);
  });
});

it('says of every field that is only known what it is refused with', () => {
  const { properties } = inputSchema(operations['POST /v1/responses']!.body![0]!) as {
    properties: Record<string, { description?: string }>;
  };
  for (const name of ['conversation', 'prompt', 'reasoning', 'moderation']) {
    expect(properties[name]!.description).toMatch(/^Only where it asks for nothing: .+ supported/);
  }
});
