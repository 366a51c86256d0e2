import { describe, expect, expectTypeOf, test } from 'vitest';
import * as z from 'zod';
import * as mini from 'zod/mini';
import { Huozi, HuoziError } from '../src/index.ts';
import { parse, SchemaError, type StandardSchema } from '../src/structured.ts';
import { fakeFetch, json } from './fake-fetch.ts';

const body = { model: 'huozi', messages: [{ role: 'user' as const, content: '静夜思' }] };
const Poem = z.object({
  title: z.string(),
  lines: z.array(z.string()).transform((lines) => lines.length),
});

function answering(content: string, finish_reason = 'stop') {
  const message = { role: 'assistant', content };
  const fake = fakeFetch(json({ id: 'c', choices: [{ index: 0, message, finish_reason }] }));
  return { fake, huozi: new Huozi({ baseURL: 'http://edge.test', apiKey: 'k', fetch: fake.fetch }) };
}

describe('a value of the schema’s type', () => {
  test('zod: its JSON Schema is sent, its output comes', async () => {
    const { fake, huozi } = answering('{"title":"静夜思","lines":["床前明月光","疑是地上霜"]}');
    const { value, completion } = await parse(huozi, body, Poem, { name: 'poem' });
    expect(value).toEqual({ title: '静夜思', lines: 2 });
    expectTypeOf(value).toEqualTypeOf<{ title: string; lines: number }>();
    expect(completion.choices[0]!.finish_reason).toBe('stop');
    expect(fake.requests[0]!.body).toMatchObject({
      ...body,
      response_format: {
        type: 'json_schema',
        json_schema: {
          name: 'poem',
          strict: true,
          schema: {
            type: 'object',
            properties: { title: { type: 'string' }, lines: { type: 'array' } },
            required: ['title', 'lines'],
          },
        },
      },
    });
  });

  test('zod/mini, which does not know its JSON Schema: given beside it, refused without', async () => {
    const schema = mini.object({ n: mini.number() });
    const { value } = await parse(answering('{"n":5}').huozi, body, {
      schema,
      jsonSchema: mini.toJSONSchema(schema),
    });
    expectTypeOf(value).toEqualTypeOf<{ n: number }>();
    expect(value).toEqual({ n: 5 });
    const { fake, huozi } = answering('{}');
    await expect(parse(huozi, body, schema)).rejects.toThrow('give { schema, jsonSchema }');
    expect(fake.requests).toHaveLength(0);
  });

  test('one that checks asynchronously', async () => {
    const schema: StandardSchema<unknown, 'yes'> = {
      '~standard': { version: 1, vendor: 'test', validate: async () => ({ value: 'yes' as const }) },
    };
    const { value } = await parse(answering('1').huozi, body, { schema, jsonSchema: {} });
    expect(value).toBe('yes');
  });
});

test.each([
  ['{"title":5,"lines":[]}', 'stop', 'not_of_schema', /^title: /],
  ['{"title":"静', 'length', 'length', /cut off/],
  ['好的：{}', 'stop', 'not_json', /JSON/],
])('%s, %s: %s', async (content, finish, code, message) => {
  const error = await parse(answering(content, finish).huozi, body, Poem).catch((error) => error);
  expect(SchemaError.isInstance(error)).toBe(true);
  expect(HuoziError.isInstance(error)).toBe(true);
  expect(error).toMatchObject({ code, answer: content, requestId: 'r-1', isRetryable: false });
  expect(error.message).toMatch(message);
});
