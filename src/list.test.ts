import { expect, it } from 'vitest';
import * as z from 'zod/mini';
import { parseChatRequest } from './chat-request.ts';
import { list, map } from './list.ts';
import { parseResponseFields } from './responses/response-request.ts';
import { refusal } from './testing/refusal.ts';

function counting(max: number) {
  let looks = 0;
  const item = z.custom((value) => {
    looks++;
    return value === 1;
  });
  return { schema: list(item, { max }), looks: () => looks };
}

it('looks no further than the first item at fault, and tells where it is', () => {
  const { schema, looks } = counting(100_000);
  const result = schema.safeParse([1, 1, ...Array(50_000).fill(0)]);
  expect(result.error!.issues).toMatchObject([{ path: [2] }]);
  // Once to find it, once to tell of it.
  expect(looks()).toBe(6);
});

it('looks at nothing of what is too long', () => {
  const { schema, looks } = counting(10);
  expect(schema.safeParse(Array(11).fill(1)).error!.issues).toMatchObject([{ code: 'too_big', maximum: 10 }]);
  expect(looks()).toBe(0);
});

it('looks no further in a map than the first entry at fault, and at nothing of one that is too large', () => {
  let looks = 0;
  const value = z.custom((one) => {
    looks++;
    return one === 1;
  });
  const schema = map(z.string(), value, { max: 3 });
  expect(schema.safeParse({ a: 1, b: 1 }).data).toEqual({ a: 1, b: 1 });
  looks = 0;
  expect(schema.safeParse({ a: 1, b: 0, c: 0 }).error!.issues).toMatchObject([{ path: ['b'] }]);
  expect(looks).toBe(3);
  expect(schema.safeParse({ a: 0, b: 0, c: 0, d: 0 }).error!.issues).toMatchObject([{ path: [] }]);
  expect(looks).toBe(3);
});

it.each([
  ['messages', Array(380_000).fill(1)],
  ['messages', Array(8_000).fill({ role: 'x' })],
  ['messages', Array(300).fill({ role: 'user', content: Array(1_000).fill(1) })],
  ['messages', [{ role: 'assistant', tool_calls: Array(128).fill({}) }]],
  ['stop', Array(380_000).fill(1)],
  ['stop_token_ids', Array(380_000).fill('x')],
  ['tools', Array(380_000).fill(1)],
  ['dry_sequence_breakers', Array(380_000).fill(1)],
  ['guided_choice', Array(256).fill('')],
])('a body of nothing but faults is refused by its first one: %s', (field, value) => {
  const body = { model: 'huozi', messages: [{ role: 'user', content: '' }], [field]: value };
  expect(refusal(parseChatRequest, body)!.param).toMatch(new RegExp(`^${field}`));
});

it.each([
  ['input', Array(380_000).fill(1)],
  ['input', Array(8_000).fill({ type: 'x' })],
  ['input', [{ role: 'user', content: Array(1_000).fill(1) }]],
  ['tools', Array(380_000).fill(1)],
  ['include', Array(380_000).fill(1)],
])('the same of a response: %s', (field, value) => {
  expect(refusal(parseResponseFields, { model: 'huozi', input: '', [field]: value })!.param).toMatch(
    new RegExp(`^${field}`),
  );
});
