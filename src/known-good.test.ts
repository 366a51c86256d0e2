import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as z from 'zod/mini';
import { chatBody } from './chat-request.ts';
import { completionBody } from './completion-request.ts';
import { knownGood } from './known-good.ts';
import { responseBody } from './responses/response-request.ts';

const text = fc.oneof(fc.constantFrom('你好', '', 'auto', 'function', 'tool', 'json_object'), fc.string());
const number = fc.oneof(fc.constantFrom(0, 1, 2, -1, 0.5, 1e9), fc.integer(), fc.double());
const scalar = fc.oneof(text, number, fc.boolean(), fc.constant(null));
const part = fc.record({ type: fc.constantFrom('text', 'image_url', 1), text }, { requiredKeys: [] });
const role = fc.constantFrom(
  'user',
  'system',
  'assistant',
  'tool',
  'developer',
  '用户',
  '助手',
  'robot',
  null,
  1,
);
const toolCall = fc.record({
  id: text,
  type: fc.constantFrom('function', 'other'),
  function: fc.record({ name: fc.constantFrom('f', '', 'not a name'), arguments: text }),
});
const message = fc.oneof(
  { weight: 5, arbitrary: fc.record({ role, content: fc.oneof(text, fc.array(part), scalar) }) },
  fc.record(
    {
      role,
      content: text,
      tool_calls: fc.array(toolCall),
      tool_call_id: text,
      name: scalar,
      refusal: scalar,
    },
    { requiredKeys: ['role'] },
  ),
  scalar,
);
const messages = fc.oneof(
  { weight: 3, arbitrary: fc.array(message, { minLength: 1, maxLength: 3 }) },
  scalar,
);
const good = fc.record({
  role: fc.constantFrom('user', 'assistant', 'system', '用户'),
  content: fc.string(),
});
const mostlyGood = fc.oneof(
  { weight: 3, arbitrary: fc.array(good, { minLength: 1, maxLength: 4 }) },
  messages,
);
const mostly = (one: unknown) => fc.oneof({ weight: 9, arbitrary: fc.constant(one) }, scalar);

test.each([
  ['chat', chatBody, { model: mostly('huozi'), messages: mostlyGood }],
  ['completion', completionBody, { model: mostly('huozi'), prompt: fc.oneof(text, scalar) }],
  ['response', responseBody, { model: mostly('huozi'), input: fc.oneof(text, mostlyGood) }],
] as [string, z.ZodMiniObject, Record<string, fc.Arbitrary<unknown>>][])(
  'the short way through a schema gives what the schema gives: %s',
  (_name, schema, required) => {
    const name = fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(...Object.keys(schema.shape)) },
      fc.constantFrom('__proto__', 'constructor'),
      fc.string(),
    );
    const others = fc
      .array(fc.tuple(name, scalar), { maxLength: 2 })
      .map((pairs) => Object.fromEntries(pairs));
    const body = fc.tuple(others, fc.record(required)).map(([some, all]) => ({ ...some, ...all }));
    let taken = 0;
    fc.assert(
      fc.property(body, (given) => {
        const whole = schema.safeParse(structuredClone(given));
        expect(knownGood(schema, structuredClone(given))).toEqual(whole.data);
        if (whole.success) taken++;
      }),
      { numRuns: 2_000 },
    );
    // Or nothing but refusals has been compared.
    expect(taken).toBeGreaterThan(100);
  },
);

test('what a body does not name is nobody’s to change', () => {
  const schema = z.strictObject({ some: z._default(z.array(z.int()), [1]) });
  const { some } = knownGood(schema, {}) as z.output<typeof schema>;
  expect(() => some.push(2)).toThrow(TypeError);
  expect(knownGood(schema, {})).toEqual({ some: [1] });
});

test('a schema with a check over the whole object is asked itself', () => {
  const schema = z.strictObject({ a: z.int(), b: z.int() }).check(z.refine(({ a, b }) => a < b));
  expect(knownGood(schema, { a: 1, b: 2 })).toEqual({ a: 1, b: 2 });
  expect(knownGood(schema, { a: 2, b: 1 })).toBeUndefined();
});
