import { describe, expect, it } from 'vitest';
import { EdgeError } from '../errors.ts';
import { itemsOf } from './items.ts';
import { parseResponseFields } from './response-request.ts';
import { inWordsOfResponses, toChat } from './to-chat.ts';

const ask = (fields: object) => parseResponseFields({ model: 'huozi', ...fields });
const chatOf = (fields: object, history: unknown[] = []) => {
  const parsed = ask(fields);
  return toChat(parsed, itemsOf(ask({ input: history }).input), itemsOf(parsed.input));
};
const messagesOf = (fields: object, history?: unknown[]) => chatOf(fields, history).body.messages;

const message = (role: string, text: string) => ({
  type: 'message',
  role,
  content: [{ type: role === 'assistant' ? 'output_text' : 'input_text', text }],
});
const call = (call_id: string) => ({ type: 'function_call', call_id, name: 'f', arguments: '{}' });
const result = (call_id: string, output = 'r') => ({ type: 'function_call_output', call_id, output });
const asked = (id: string) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } });

describe('messages', () => {
  it.each([
    ['a string', { input: '好' }, [{ role: 'user', content: '好' }]],
    [
      'instructions before all else',
      { input: [{ role: 'developer', content: 'd' }], instructions: 's' },
      [
        { role: 'system', content: 's' },
        { role: 'developer', content: 'd' },
      ],
    ],
    [
      'parts, joined',
      { input: [{ role: 'user', content: ['a', 'b'].map((text) => ({ type: 'input_text', text })) }] },
      [{ role: 'user', content: 'ab' }],
    ],
    [
      'a message and its calls are one turn',
      {
        input: [
          message('user', 'u'),
          message('assistant', 'a'),
          call('1'),
          call('2'),
          result('1'),
          result('2'),
        ],
      },
      [
        { role: 'user', content: 'u' },
        { role: 'assistant', content: 'a', tool_calls: [asked('1'), asked('2')] },
        { role: 'tool', content: 'r', tool_call_id: '1' },
        { role: 'tool', content: 'r', tool_call_id: '2' },
      ],
    ],
    [
      'calls one after the other are turns of their own',
      { input: [call('1'), result('1'), call('2'), result('2')] },
      [
        { role: 'assistant', tool_calls: [asked('1')] },
        { role: 'tool', content: 'r', tool_call_id: '1' },
        { role: 'assistant', tool_calls: [asked('2')] },
        { role: 'tool', content: 'r', tool_call_id: '2' },
      ],
    ],
    [
      'text after a call stays in its turn',
      { input: [call('1'), message('assistant', 'a'), result('1')] },
      [
        { role: 'assistant', content: 'a', tool_calls: [asked('1')] },
        { role: 'tool', content: 'r', tool_call_id: '1' },
      ],
    ],
    ['Chinese roles stay', { input: [{ role: '用户', content: '好' }] }, [{ role: '用户', content: '好' }]],
  ])('%s', (_name, fields, expected) => {
    expect(messagesOf(fields)).toEqual(expected);
  });

  it('stand after what was said before', () => {
    const history = [message('user', 'u'), message('assistant', 'a'), call('1')];
    expect(messagesOf({ instructions: 's', input: [result('1')] }, history)).toEqual([
      { role: 'system', content: 's' },
      { role: 'user', content: 'u' },
      { role: 'assistant', content: 'a', tool_calls: [asked('1')] },
      { role: 'tool', content: 'r', tool_call_id: '1' },
    ]);
  });
});

describe('settings', () => {
  const parameters = { type: 'object', properties: {} };
  it.each([
    [{ max_output_tokens: 3 }, { max_completion_tokens: 3 }],
    [
      { seed: 1, stop: 'x', top_k: 5 },
      { seed: 1, stop: ['x'], top_k: 5 },
    ],
    [{ text: { format: { type: 'json_object' } } }, { response_format: { type: 'json_object' } }],
    [
      { text: { format: { type: 'json_schema', name: 'n', schema: parameters, strict: true } } },
      {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'n', schema: parameters, strict: true },
        },
      },
    ],
    [
      { tools: [{ type: 'function', name: 'f', parameters }], tool_choice: { type: 'function', name: 'f' } },
      {
        tools: [{ type: 'function', function: { name: 'f', parameters } }],
        tool_choice: { type: 'function', function: { name: 'f' } },
        parallel_tool_calls: true,
      },
    ],
    [
      { include: ['message.output_text.logprobs'], top_logprobs: 2 },
      { logprobs: true, top_logprobs: 2 },
    ],
    [{ truncation: 'auto' }, { truncation: 'auto' }],
  ])('%j', (fields, expected) => {
    expect(chatOf({ input: '好', ...fields }).body).toMatchObject(expected);
  });

  it('say nothing of what was not asked for', () => {
    const { body } = chatOf({ input: '好' });
    for (const name of ['tools', 'tool_choice', 'response_format', 'logprobs', 'truncation', 'seed']) {
      expect(body).not.toHaveProperty(name);
    }
  });
});

describe('refusals', () => {
  const paramOf = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      const { problem } = error as EdgeError;
      return 'param' in problem && { param: problem.param, message: 'message' in problem && problem.message };
    }
    return undefined;
  };
  it.each([
    ['messages.1.content', 'input.0.content'],
    ['messages.0.content', 'instructions'],
    ['messages.2.tool_calls.1.function.name', 'input.2.name'],
    ['messages.2.tool_calls.1.id', 'input.2.call_id'],
    ['messages.3.tool_call_id', 'input.3.call_id'],
    ['messages', 'input'],
    ['max_completion_tokens', 'max_output_tokens'],
    ['tools.3.function.parameters', 'tools.3.parameters'],
    ['tool_choice.function.name', 'tool_choice.name'],
    ['tool_choice.allowed_tools.tools.0.function.name', 'tool_choice.tools.0.name'],
    ['response_format.json_schema.schema', 'text.format.schema'],
    ['response_format', 'text.format'],
    ['temperature', 'temperature'],
  ])("of the chat API's %s name %s", (param, expected) => {
    const chat = chatOf({
      instructions: 's',
      input: [message('user', 'u'), call('1'), call('2'), result('1')],
    });
    const refuse = () => {
      throw new EdgeError({ kind: 'invalid_request', param, message: `${param}: is wrong.` });
    };
    expect(paramOf(() => inWordsOfResponses(chat, refuse))).toEqual({
      param: expected,
      message: `${expected}: is wrong.`,
    });
  });

  it.each([
    [{ input: 3 }, 'input'],
    [{ input: [3] }, 'input.0'],
    [{ input: [{ type: 'message', role: 'wizard', content: '' }] }, 'input.0.role'],
    [{ input: [{ role: 'user', content: [{ type: 'input_image' }] }] }, 'input.0.content.0.type'],
    [{ input: [{ type: 'reasoning' }] }, 'input.0.type'],
    [{ input: [{ type: 'item_reference', id: 'x' }] }, 'input.0.type'],
    [{ tools: [{ type: 'web_search' }] }, 'tools.0.type'],
    [{ tool_choice: { type: 'hosted' } }, 'tool_choice'],
    [{ background: true, store: false }, 'background'],
    [{ conversation: 'conv_1' }, 'conversation'],
    [{ prompt: { id: 'x' } }, 'prompt'],
    [{ reasoning: { effort: 'high' } }, 'reasoning'],
    [{ previous_response_id: 'resp_1' }, 'previous_response_id'],
    [{ include: ['x'] }, 'include.0'],
    [{ metadata: { a: 1 } }, 'metadata.a'],
    [{ metadata: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [at, ''])) }, 'metadata'],
    [{ text: { verbosity: 'low' } }, 'text.verbosity'],
    [{ text: { format: { type: 'xml' } } }, 'text.format.type'],
    [{ truncation: 'middle' }, 'truncation'],
    [{ max_tokens: 3 }, 'max_tokens'],
    [{ messages: [] }, 'messages'],
    [{ top_logprobs: 21 }, 'top_logprobs'],
    [{ stream_options: { include_usage: true } }, 'stream_options.include_usage'],
  ])('%j', (fields, param) => {
    expect(paramOf(() => ask({ input: '好', ...fields }))).toMatchObject({ param });
  });

  it('log-probabilities that nothing would carry', () => {
    expect(paramOf(() => chatOf({ input: '好', top_logprobs: 2 }))).toMatchObject({ param: 'top_logprobs' });
  });
});
