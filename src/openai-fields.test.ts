/**
 * Every field that OpenAI's own client documents, one by one: honoured (it changes what is asked of the node), refused
 * by name, or harmless (it asks for nothing that could be missed). A field that a later version brings fails here
 * until somebody has decided about it.
 */
import { describe, expect, it } from 'vitest';
import { documentedFields } from '../test/documented-fields.ts';
import { parseChatRequest } from './chat-request.ts';
import { parseCompletionRequest } from './completion-request.ts';
import { refusal } from './testing/refusal.ts';

/** [what happens, with which value]. A second value of an honoured or harmless field is one that is refused. */
type Fate = ['honoured' | 'harmless', unknown, refused?: unknown] | ['refused', unknown];

const user = { role: 'user', content: '你好' };
const tool = { type: 'function', function: { name: 'f' } };
const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };
const result = { role: 'tool', tool_call_id: 'c', content: '二' };
const chat = { model: 'huozi', messages: [user] };
const completions = 'chat/completions/completions';

/** Where a field stands, and the body around it. */
interface Place {
  file: string;
  name: string;
  parse: (body: unknown) => unknown;
  around: (fields: object) => object;
  /** Of the field, in an error. */
  path: string;
  /** Without it the body is not whole. */
  required: object;
  fates: Record<string, Fate>;
}

const parseChat = (body: unknown) => ({ ...parseChatRequest(body) });
const inMessage = (before: object[], after: object[]) => (fields: object) => ({
  ...chat,
  messages: [...before, fields, ...after],
});
const textParts = [{ type: 'text', text: '一' }];

const places: Place[] = [
  {
    file: completions,
    name: 'ChatCompletionCreateParamsBase',
    parse: parseChat,
    around: (fields) => fields,
    path: '',
    required: chat,
    fates: {
      messages: ['honoured', [{ role: 'user', content: '别的' }], []],
      model: ['honoured', 'other', ''],
      audio: ['refused', { voice: 'alloy', format: 'mp3' }],
      frequency_penalty: ['honoured', 1, 3],
      function_call: ['harmless', 'none', 'auto'],
      functions: ['harmless', [], [{ name: 'f' }]],
      logit_bias: ['honoured', { 5: 1 }, { a: 1 }],
      logprobs: ['honoured', true, 1],
      max_completion_tokens: ['honoured', 5, 0],
      max_tokens: ['honoured', 5, 0],
      metadata: ['harmless', { a: 'b' }, 'x'],
      modalities: ['harmless', ['text'], ['audio']],
      moderation: ['refused', { model: 'm' }],
      n: ['honoured', 2, 9],
      parallel_tool_calls: ['harmless', false, 'x'],
      prediction: ['refused', { type: 'content', content: 'x' }],
      presence_penalty: ['honoured', 1, 3],
      prompt_cache_key: ['harmless', 'k', 5],
      prompt_cache_options: ['refused', { mode: 'explicit' }],
      prompt_cache_retention: ['harmless', 'in_memory', '24h'],
      reasoning_effort: ['harmless', 'none', 'high'],
      response_format: ['honoured', { type: 'json_object' }, { type: 'x' }],
      safety_identifier: ['harmless', 's', 5],
      seed: ['honoured', 8, 'x'],
      service_tier: ['harmless', 'auto', 'flex'],
      stop: ['honoured', '。', 5],
      store: ['harmless', false, true],
      stream: ['honoured', true, 'x'],
      stream_options: ['honoured', { include_usage: true }, { include_obfuscation: true }],
      temperature: ['honoured', 0, 3],
      tool_choice: ['harmless', 'auto', 'required'],
      tools: ['honoured', [tool], [{ type: 'custom', custom: { name: 'x' } }]],
      top_logprobs: ['harmless', 0, 5],
      top_p: ['honoured', 0.5, 2],
      user: ['harmless', 'u', 5],
      verbosity: ['harmless', 'medium', 'low'],
      web_search_options: ['refused', {}],
    },
  },
  {
    file: 'completions',
    name: 'CompletionCreateParamsBase',
    parse: (body) => ({ ...parseCompletionRequest(body) }),
    around: (fields) => fields,
    path: '',
    required: { model: 'huozi', prompt: '从前' },
    fates: {
      model: ['honoured', 'other', 5],
      prompt: ['honoured', '以后', ['a', 'b']],
      best_of: ['harmless', 1, 2],
      echo: ['honoured', true, 'x'],
      frequency_penalty: ['honoured', 1, 3],
      logit_bias: ['honoured', { 5: 1 }, 5],
      logprobs: ['honoured', 2, true],
      max_tokens: ['honoured', 5, 0],
      n: ['honoured', 2, 9],
      presence_penalty: ['honoured', 1, 3],
      seed: ['honoured', 8, 'x'],
      stop: ['honoured', '。', 5],
      stream: ['honoured', true, 5],
      stream_options: ['honoured', { include_usage: true }, 5],
      suffix: ['harmless', '', 'x'],
      temperature: ['honoured', 0, 3],
      top_p: ['honoured', 0.5, 2],
      user: ['harmless', 'u', 5],
    },
  },
  {
    file: completions,
    name: 'ChatCompletionStreamOptions',
    parse: parseChat,
    around: (fields) => ({ ...chat, stream_options: fields }),
    path: 'stream_options',
    required: {},
    fates: {
      include_usage: ['honoured', true, 5],
      include_obfuscation: ['harmless', false, true],
    },
  },
  ...['System', 'Developer', 'User'].map((role) => ({
    file: completions,
    name: `ChatCompletion${role}MessageParam`,
    parse: parseChat,
    around: inMessage([], []),
    path: 'messages.0',
    required: { role: role.toLowerCase(), content: '' },
    fates: {
      role: ['honoured', role === 'User' ? 'system' : 'user', 'x'],
      content: ['honoured', textParts, [{ type: 'image_url', image_url: { url: 'x' } }]],
      name: ['refused', 'Li'],
    } satisfies Record<string, Fate>,
  })),
  {
    file: completions,
    name: 'ChatCompletionAssistantMessageParam',
    parse: parseChat,
    around: inMessage([user], []),
    path: 'messages.1',
    required: { role: 'assistant' },
    fates: {
      role: ['honoured', '助手', 'x'],
      audio: ['harmless', null, { id: 'x' }],
      content: ['honoured', textParts, [{ type: 'refusal', refusal: 'x' }]],
      function_call: ['harmless', null, { name: 'f', arguments: '' }],
      name: ['refused', 'Li'],
      refusal: ['harmless', null, 'x'],
      tool_calls: ['harmless', [], [call]],
    },
  },
  {
    file: completions,
    name: 'ChatCompletionToolMessageParam',
    parse: parseChat,
    around: inMessage([user, { role: 'assistant', tool_calls: [call] }], []),
    path: 'messages.2',
    required: result,
    fates: {
      content: ['honoured', textParts, [{ type: 'image_url' }]],
      role: ['refused', 'function'],
      tool_call_id: ['refused', 'd'],
    },
  },
  {
    file: completions,
    name: 'ChatCompletionMessageFunctionToolCall',
    parse: parseChat,
    around: (fields) => ({ ...chat, messages: [user, { role: 'assistant', tool_calls: [fields] }, result] }),
    path: 'messages.1.tool_calls.0',
    required: call,
    fates: {
      id: ['refused', 5],
      function: ['honoured', { name: 'g', arguments: '{}' }, { name: 'a b', arguments: '' }],
      type: ['refused', 'custom'],
    },
  },
  {
    file: completions,
    name: 'ChatCompletionContentPartText',
    parse: parseChat,
    around: (fields) => ({ ...chat, messages: [{ role: 'user', content: [fields] }] }),
    path: 'messages.0.content.0',
    required: { type: 'text', text: '' },
    fates: {
      text: ['honoured', 'x', 5],
      type: ['refused', 'refusal'],
      prompt_cache_breakpoint: ['refused', { mode: 'explicit' }],
    },
  },
  {
    file: completions,
    name: 'ChatCompletionFunctionTool',
    parse: parseChat,
    around: (fields) => ({ ...chat, tools: [fields] }),
    path: 'tools.0',
    required: tool,
    fates: { function: ['honoured', { name: 'g' }, {}], type: ['refused', 'custom'] },
  },
  {
    file: 'shared',
    name: 'FunctionDefinition',
    parse: parseChat,
    around: (fields) => ({ ...chat, tools: [{ type: 'function', function: fields }] }),
    path: 'tools.0.function',
    required: { name: 'f' },
    fates: {
      name: ['honoured', 'g', 'a b'],
      description: ['honoured', 'x', 5],
      parameters: ['honoured', { type: 'object', properties: { a: {} } }, 5],
      // The grammar is made of the schema either way.
      strict: ['harmless', true, 'x'],
    },
  },
  {
    file: 'shared',
    name: 'JSONSchema',
    parse: parseChat,
    around: (json_schema) => ({ ...chat, response_format: { type: 'json_schema', json_schema } }),
    path: 'response_format.json_schema',
    required: { name: 'a' },
    fates: {
      name: ['honoured', 'b', 'a b'],
      description: ['honoured', 'x', 5],
      schema: ['honoured', { type: 'object' }, 5],
      strict: ['harmless', true, 'x'],
    },
  },
];

describe.each(places)('$name', ({ file, name, parse, around, path, required, fates }) => {
  const parsed = (fields: object) =>
    JSON.stringify(parse(around({ ...required, ...fields })), (key, value) =>
      key === 'seed' && value !== 8 ? 'any' : value,
    );
  const paramOf = (fields: object) => refusal(parse, around({ ...required, ...fields }))?.param;

  it('has all its fields decided about', () => {
    expect(Object.keys(fates).toSorted()).toEqual(documentedFields(file, name).toSorted());
  });

  it.each(Object.entries(fates))('%s is %j', (field, [fate, value, ...refused]) => {
    const place = new RegExp(`^${path ? `${path}\\.` : ''}${field}(\\.|$)`);
    for (const bad of fate === 'refused' ? [value] : refused)
      expect(paramOf({ [field]: bad })).toMatch(place);
    if (fate === 'honoured') expect(parsed({ [field]: value })).not.toBe(parsed({}));
    if (fate === 'harmless') expect(parsed({ [field]: value })).toBe(parsed({}));
  });
});

it('what asks for nothing alone is honoured beside what it belongs to', () => {
  const asked = (fields: object) => parseChatRequest({ ...chat, ...fields }).options;
  const tools = [tool];
  expect(asked({ tools, parallel_tool_calls: false })).toMatchObject({ format: { parallel: false } });
  expect(asked({ tools, tool_choice: 'required' })).toMatchObject({ format: { choice: 'required' } });
  expect(asked({ logprobs: true, top_logprobs: 5 })).toEqual({ logprobs: 5 });
  const messages = [user, { role: 'assistant', tool_calls: [call] }, result];
  expect(parseChatRequest({ ...chat, messages }).turns[1]!.text).toContain('<tool_call>');
});
