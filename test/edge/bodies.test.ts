/** Five thousand bodies over every endpoint that takes one: no 5xx, and every refusal names what is wrong. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { adminToken, edgeBeforeNode, errorOf } from './edge.ts';

const { edge } = edgeBeforeNode();

const tool = {
  type: 'function',
  function: { name: 'weather', description: 'x', parameters: { type: 'object', properties: {} } },
};
const generation = {
  model: 'huozi',
  temperature: 0.5,
  top_p: 0.9,
  presence_penalty: 0,
  frequency_penalty: 0.1,
  seed: 7,
  max_tokens: 20,
  stop: ['。'],
  stream: true,
  stream_options: { include_usage: true },
  top_k: 5,
  min_p: 0.1,
  repetition_penalty: 1.1,
  stop_token_ids: [57001],
  ignore_eos: false,
  user: 'x',
  n: 1,
  logit_bias: { '5': 1 },
};

interface Endpoint {
  method: string;
  path: () => string;
  token: () => string;
  /** Bodies that pass, to be changed. */
  good: object[];
  /** Fields that a refusal may name although the body does not have them. */
  required: string[];
  bodies: number;
}

let keyId = '';
const user = () => edge.apiKey;
const admin = () => adminToken;
const endpoints: Endpoint[] = [
  {
    method: 'POST',
    path: () => '/v1/chat/completions',
    token: user,
    good: [
      {
        ...generation,
        messages: [
          { role: 'system', content: '你好' },
          { role: 'user', content: [{ type: 'text', text: '在吗' }] },
          { role: 'assistant', content: '在' },
          { role: 'user', content: '好' },
        ],
        metadata: {},
        response_format: { type: 'json_object' },
        logprobs: true,
        top_logprobs: 2,
      },
      {
        model: 'huozi',
        messages: [
          { role: 'user', content: '天气' },
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'c1', type: 'function', function: { name: 'weather', arguments: '{}' } }],
          },
          { role: 'tool', tool_call_id: 'c1', content: '晴' },
        ],
        tools: [tool],
        tool_choice: 'auto',
        parallel_tool_calls: false,
      },
    ],
    required: ['model', 'messages'],
    bodies: 2_000,
  },
  {
    method: 'POST',
    path: () => '/v1/completions',
    token: user,
    good: [{ ...generation, prompt: '从前', best_of: 1, echo: false, suffix: '' }],
    required: ['model', 'prompt'],
    bodies: 1_200,
  },
  {
    method: 'POST',
    path: () => '/v1/responses',
    token: user,
    good: [
      {
        model: 'huozi',
        input: [{ role: 'user', content: [{ type: 'input_text', text: '你好' }] }],
        instructions: 'x',
        max_output_tokens: 20,
        store: false,
        stream: true,
        temperature: 0.3,
        text: { format: { type: 'text' } },
        tools: [],
        metadata: {},
      },
      { model: 'huozi', input: '你好', store: false },
    ],
    required: ['model', 'input'],
    bodies: 1_000,
  },
  {
    method: 'POST',
    path: () => '/v1/tokenize',
    token: user,
    good: [
      { model: 'huozi', messages: [{ role: 'user', content: '你好' }] },
      { model: 'huozi', prompt: '你好' },
    ],
    required: ['model', 'messages', 'prompt'],
    bodies: 500,
  },
  {
    method: 'PATCH',
    path: () => `/admin/keys/${keyId}`,
    token: admin,
    good: [
      {
        name: 'x',
        limits: { requests_per_minute: 10, tokens_per_day: null, concurrent: 3 },
        models: ['huozi'],
        scopes: ['inference'],
        expires_at: 4_000_000_000,
        labels: { team: 'a' },
      },
    ],
    required: [],
    bodies: 300,
  },
  {
    method: 'POST',
    path: () => `/admin/keys/${keyId}/rotate`,
    token: admin,
    good: [{ overlap_seconds: 5 }],
    required: [],
    bodies: 100,
  },
];

type Step = { at: number; way: 'replace' | 'remove' | 'add' | 'double'; name: string; value: unknown };

const values = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(
    null,
    '',
    [],
    {},
    -1,
    0,
    1e308,
    2 ** 53,
    0.5,
    true,
    '<|endofutterance|>',
    '\u0000',
    [null],
  ),
);
const steps = fc.array(
  fc.record<Step>({
    at: fc.nat(60),
    way: fc.constantFrom('replace', 'replace', 'remove', 'add', 'double'),
    name: fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom('n', 'tools', 'format', '__proto__', 'toString'),
    ),
    value: values,
  }),
  { minLength: 1, maxLength: 3 },
);

/** Every place in a value, as the object or list that holds it and its name there. */
function places(value: unknown, found: [holder: Record<string, unknown>, name: string][] = []) {
  if (typeof value !== 'object' || value === null) return found;
  for (const [name, inner] of Object.entries(value)) {
    found.push([value as Record<string, unknown>, name]);
    places(inner, found);
  }
  return found;
}

function changed(good: object, how: Step[]): object {
  const body = structuredClone(good);
  for (const { at, way, name, value: drawn } of how) {
    // A copy: what is drawn is shared between draws, and put into itself it would have no end.
    const value = structuredClone(drawn);
    const all = places(body);
    if (all.length === 0) break;
    const [holder, there] = all[at % all.length]!;
    if (way === 'replace') holder[there] = value;
    else if (way === 'remove') delete holder[there];
    else if (way === 'double') holder[there] = [holder[there], structuredClone(holder[there])];
    // A list has no names in JSON, and its "length", should that be drawn, cannot be defined anew.
    else if (Array.isArray(holder)) holder.push(value);
    else Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return body;
}

/** Together, so that the time of one is the time of all. */
const together = 20;

it.each(
  endpoints.map((endpoint) => [endpoint.path().replace(/\/keys\/.*?(?=\/|$)/, '/keys/…'), endpoint] as const),
)(
  '%s',
  async (_path, { method, path, token, good, required, bodies }) => {
    keyId ||= (await edge.newKey()).id;
    const body = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.tuple(fc.constantFrom(...good), steps).map(([one, how]) => changed(one, how)),
      },
      { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
    );
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(body, { minLength: together, maxLength: together }), async (many) => {
        await Promise.all(
          many.map(async (one) => {
            const response = await fetch(edge.url + path(), {
              method,
              headers: { authorization: `Bearer ${token()}` },
              body: JSON.stringify(one),
            });
            statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
            if (response.status < 400) return void (await response.text());
            const { status, type, param, message } = await errorOf(response);
            expect(status, JSON.stringify(one)).toBeLessThan(500);
            expect(type).toBe('invalid_request_error');
            expect(message).toEqual(expect.any(String));
            expect(param, `${JSON.stringify(one)}: ${message}`).toEqual(expect.any(String));
            const field = (param as string).split('.')[0]!;
            const own = typeof one === 'object' && one !== null ? Object.keys(one) : [];
            const known = ['body', ...required, ...own.map((name) => name.split('.')[0]!)];
            expect(known, `${JSON.stringify(one)}: ${message}`).toContain(field);
          }),
        );
      }),
      { numRuns: Math.ceil(bodies / together) },
    );
    // Both kinds were among them: else the property would say little.
    const passed = [...statuses]
      .filter(([status]) => status < 400)
      .reduce((sum, [, count]) => sum + count, 0);
    expect(passed).toBeGreaterThan(0);
    expect(statuses.get(400)).toBeGreaterThan(0);
  },
  60_000,
);

it('are five thousand and more', () => {
  expect(endpoints.reduce((sum, { bodies }) => sum + bodies, 0)).toBeGreaterThanOrEqual(5_000);
});
