import { describe, expect, it } from 'vitest';
import { parseChatRequest } from './chat-request.ts';
import { parseCompletionRequest } from './completion-request.ts';
import { refusal } from './testing/refusal.ts';

const base = { model: 'huozi', messages: [{ role: 'user', content: '你好' }] };
const withSchema = (json_schema: object) => ({ response_format: { type: 'json_schema', json_schema } });
const deep = (levels: number): object => (levels === 0 ? {} : { a: deep(levels - 1) });

describe('the form of an answer', () => {
  const array = { type: 'json_schema', schema: { type: 'array' } };
  it.each([
    [{ response_format: { type: 'json_object' } }, { type: 'json_object' }, 'response_format'],
    [withSchema({ name: 'a', schema: { type: 'array' }, strict: true }), array, 'response_format'],
    [withSchema({ name: 'a', strict: null }), { type: 'json_object' }, 'response_format'],
    [{ guided_json: { type: 'array' } }, array, 'guided_json'],
    [{ guided_json: '{"type":"array"}' }, array, 'guided_json'],
    [{ structured_outputs: { json: { type: 'array' } } }, array, 'structured_outputs'],
    [{ structured_outputs: { json_object: true } }, { type: 'json_object' }, 'structured_outputs'],
    [
      { structured_outputs: { grammar: 'root ::= "a"' } },
      { type: 'grammar', gbnf: 'root ::= "a"' },
      'structured_outputs',
    ],
    [{ guided_grammar: 'root ::= "a"' }, { type: 'grammar', gbnf: 'root ::= "a"' }, 'guided_grammar'],
    [
      { guided_choice: ['是', 'no "\\\n\ud800🀄'] },
      { type: 'grammar', gbnf: 'root ::= "是" | "no \\u0022\\u005c\\u000a\\ufffd🀄"' },
      'guided_choice',
    ],
  ])('%j', (fields, format, formatField) => {
    expect(parseChatRequest({ ...base, ...fields })).toMatchObject({ options: { format }, formatField });
    expect(parseCompletionRequest({ model: 'huozi', prompt: '', ...fields })).toMatchObject({
      options: { format },
      formatField,
    });
  });

  it.each([{ response_format: { type: 'text' } }, { guided_json: null }, { structured_outputs: {} }])(
    'may be any: %j',
    (fields) => {
      expect(parseChatRequest({ ...base, ...fields }).options).toEqual({});
    },
  );

  it('is shown to the model where it is a JSON schema, with its name and description', () => {
    const json_schema = { name: 'city', description: '一座城市', schema: { type: 'object' } };
    const { turns } = parseChatRequest({ ...base, ...withSchema(json_schema) });
    expect(turns.map((turn) => turn.speaker)).toEqual(['系统', '用户']);
    expect(JSON.parse(turns[0]!.text.split('\n').at(-1)!)).toEqual(json_schema);
  });

  it('goes with tools that are not to be called', () => {
    const tools = [{ type: 'function', function: { name: 'f' } }];
    const request = { ...base, tools, tool_choice: 'none', response_format: { type: 'json_object' } };
    expect(parseChatRequest(request).options).toEqual({ format: { type: 'json_object' } });
  });
});

describe('is refused by name', () => {
  it.each([
    [{ response_format: 5 }, 'response_format'],
    [{ response_format: { type: 'structural_tag' } }, 'response_format.type'],
    [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema'],
    [withSchema({ name: 'a b' }), 'response_format.json_schema.name'],
    [withSchema({ name: 'a', schema: 5 }), 'response_format.json_schema.schema'],
    [withSchema({ name: 'a', schema: deep(70) }), 'response_format.json_schema.schema'],
    [
      withSchema({ name: 'a', schema: JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`) }),
      'response_format.json_schema.schema',
    ],
    [{ response_format: { type: 'json_object' }, guided_grammar: 'root ::= "a"' }, 'guided_grammar'],
    [{ guided_json: '{' }, 'guided_json'],
    [{ guided_regex: 'a' }, 'guided_regex'],
    [{ guided_choice: [] }, 'guided_choice'],
    [{ guided_choice: [''] }, 'guided_choice.0'],
    [{ guided_grammar: '' }, 'guided_grammar'],
    [{ structured_outputs: { regex: 'a' } }, 'structured_outputs.regex'],
    [{ structured_outputs: { json: {}, grammar: 'root ::= "a"' } }, 'structured_outputs'],
  ])('case %#', (fields, param) => {
    const error = refusal(parseChatRequest, { ...base, ...fields });
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    expect(error!.message).not.toMatch(/undefined|Invalid input/);
  });
});
