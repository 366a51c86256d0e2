/** Whatever the body, it is taken or refused by the name of a field; never anything else. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseChatRequest } from '../chat-request.ts';
import { EdgeError } from '../errors.ts';
import { itemsOf } from './items.ts';
import { parseResponseFields, responseBody } from './response-request.ts';
import { inWordsOfResponses, toChat } from './to-chat.ts';

function parse(body: unknown) {
  const fields = parseResponseFields(body);
  const chat = toChat(fields, [], itemsOf(fields.input));
  return inWordsOfResponses(chat, () => parseChatRequest(chat.body));
}

const name = fc.constantFrom('f', 'g', 'two words', '');
const callId = fc.constantFrom('a', 'b', '');
const text = fc.oneof(
  fc.string(),
  fc.constantFrom('<|endofutterance|>', '<tool_call>', '系统'),
  fc.array(
    fc.record({ type: fc.constantFrom('input_text', 'output_text', 'input_image'), text: fc.string() }),
    {
      maxLength: 3,
    },
  ),
);
const item = fc.oneof(
  fc.record({ role: fc.constantFrom('user', 'assistant', 'system', '用户', 'tool'), content: text }),
  fc.record({
    type: fc.constant('function_call'),
    call_id: callId,
    name,
    arguments: fc.constantFrom('{}', '', '{'),
  }),
  fc.record({ type: fc.constant('function_call_output'), call_id: callId, output: text }),
  fc.jsonValue(),
);
const tool = fc.record(
  {
    type: fc.constantFrom('function', 'web_search'),
    name,
    parameters: fc.oneof(fc.constant({ type: 'object' }), fc.jsonValue()),
    strict: fc.boolean(),
  },
  { requiredKeys: ['type', 'name'] },
);
const fields = Object.keys(responseBody.shape).filter((field) => field !== 'model');
const known = fc.record(
  {
    input: fc.oneof(fc.string(), fc.array(item, { maxLength: 5 })),
    instructions: fc.string(),
    tools: fc.array(tool, { maxLength: 2 }),
    tool_choice: fc.constantFrom('auto', 'none', 'required', { type: 'function', name: 'f' }, 'x'),
    text: fc.constantFrom(
      { format: { type: 'json_object' } },
      { format: { type: 'json_schema', name: 'n', schema: {} } },
      { format: null },
      {},
    ),
    include: fc.constantFrom([], ['message.output_text.logprobs']),
    top_logprobs: fc.integer({ min: -1, max: 21 }),
    max_output_tokens: fc.integer({ min: 0, max: 5 }),
    min_tokens: fc.integer({ min: 0, max: 5 }),
    truncation: fc.constantFrom('auto', 'disabled'),
  },
  { requiredKeys: [] },
);
const bodies = fc.oneof(
  fc.jsonValue(),
  known.map((some) => ({ model: 'huozi', ...some })),
  fc
    .tuple(known, fc.dictionary(fc.constantFrom(...fields), fc.jsonValue(), { maxKeys: 2 }))
    .map(([some, others]) => ({ model: 'huozi', ...some, ...others })),
);

it('any body', () => {
  let taken = 0;
  fc.assert(
    fc.property(bodies, (body) => {
      try {
        parse(body);
        taken++;
      } catch (error) {
        expect(error).toBeInstanceOf(EdgeError);
        const { problem } = error as EdgeError;
        if (problem.kind === 'invalid_json') return;
        expect(problem.kind).toBe('invalid_request');
        const { param, message } = problem as { param: string; message: string };
        expect(message.startsWith(`${param}: `)).toBe(true);
        // Not in the words of the chat API.
        expect(param).not.toMatch(/^messages|^response_format|function|max_(completion_)?tokens$/);
        expect([...fields, 'model'].some((field) => param.split('.')[0] === field)).toBe(true);
      }
    }),
    { numRuns: 3_000 },
  );
  // Else it would say nothing of what is taken.
  expect(taken).toBeGreaterThan(50);
});

it.each(fields)('%s: null is its default', (field) => {
  const body = { model: 'huozi', input: '好' };
  expect(parseResponseFields({ ...body, [field]: null })).toEqual(
    field === 'input' ? parseResponseFields({ model: 'huozi' }) : parseResponseFields(body),
  );
});
