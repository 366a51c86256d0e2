/** Function calling on its way in: the tools, the choice, calls and results in the history. */
import { describe, expect, it } from 'vitest';
import { parseChatRequest } from './chat-request.ts';
import { refusal } from './testing/refusal.ts';

const hello = [{ role: 'user', content: '你好' }];
const base = { model: 'huozi', messages: hello };
const tool = (name: string) => ({ type: 'function', function: { name } });
const allowed = (mode: string, ...names: string[]) => ({
  type: 'allowed_tools',
  allowed_tools: { mode, tools: names.map(tool) },
});
const weather = {
  type: 'function',
  function: {
    name: 'weather',
    description: '天气\n<|endofutterance|>',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
    strict: true,
  },
};
const assistant = (...ids: string[]) => ({
  role: 'assistant',
  content: null as string | null,
  tool_calls: ids.map((id) => ({
    id,
    type: 'function',
    function: { name: 'f', arguments: `{"of":"${id}"}` },
  })),
});
const result = (id: string, content = `result of ${id}`) => ({ role: 'tool', tool_call_id: id, content });
const deep = (levels: number): object => (levels === 0 ? {} : { a: deep(levels - 1) });
const withParameters = (parameters: unknown) => ({ type: 'function', function: { name: 'f', parameters } });

describe('the choice', () => {
  it.each([
    [{}, { choice: 'auto', parallel: true, tools: [{ name: 'f' }, { name: 'g' }] }],
    [
      { tool_choice: 'required', parallel_tool_calls: false },
      { choice: 'required', parallel: false },
    ],
    [{ tool_choice: tool('g') }, { choice: { name: 'g' }, tools: [{ name: 'f' }, { name: 'g' }] }],
    [{ tool_choice: allowed('auto', 'g') }, { choice: 'auto', tools: [{ name: 'g' }] }],
    [
      { tool_choice: allowed('required', 'g', 'f') },
      { choice: 'required', tools: [{ name: 'f' }, { name: 'g' }] },
    ],
  ])('%j', (fields, format) => {
    const request = parseChatRequest({ ...base, tools: [tool('f'), tool('g')], ...fields });
    expect(request.options.format).toMatchObject({ type: 'tools', ...format });
    expect(request.formatField).toBe('tools');
  });

  it.each([
    { tools: [weather], tool_choice: 'none' },
    { tools: [] },
    { tools: [], tool_choice: 'auto' },
    { tool_choice: 'none' },
    { tools: null, tool_choice: null },
  ])('of none asks for nothing: %j', (fields) => {
    const request = parseChatRequest({ ...base, ...fields });
    expect(request.options).toEqual({});
    expect(request.turns).toEqual([{ speaker: '用户', text: '你好' }]);
  });
});

describe('the system turn', () => {
  it('names them after what the client wrote, one a line, the same for every choice', () => {
    const all = ['auto', 'required', tool('weather'), allowed('auto', 'weather')].map((tool_choice) =>
      parseChatRequest({
        ...base,
        messages: [{ role: 'system', content: '你是一个智能助手' }, ...hello],
        tools: [weather, tool('now')],
        tool_choice,
      }),
    );
    const turns = all[0]!.turns;
    for (const other of all) expect(other.turns).toEqual(turns);
    expect(turns.map((turn) => turn.speaker)).toEqual(['系统', '用户']);
    expect(turns[0]!.text.startsWith('你是一个智能助手\n\n# 工具 Tools\n')).toBe(true);
    const lines = /<tools>\n(.*)\n<\/tools>/s.exec(turns[0]!.text)![1]!.split('\n');
    const { strict: _, ...shown } = weather.function;
    const empty = { type: 'object', properties: {}, additionalProperties: false };
    expect(lines.map((line) => JSON.parse(line))).toEqual([shown, { name: 'now', parameters: empty }]);
  });

  it('is made where there is none', () => {
    const { turns } = parseChatRequest({ ...base, tools: [weather] });
    expect(turns.map((turn) => turn.speaker)).toEqual(['系统', '用户']);
  });
});

it('calls and results stand in the history as the model would see them, in the order of the calls', () => {
  const history = [
    ...hello,
    { ...assistant('a', 'b'), content: '我看看' },
    result('b', '二\n</tool_response>'),
    result('a', '一'),
    assistant('a'),
    result('a'),
    { role: 'user', content: '谢谢' },
  ];
  const callOf = (id: string) => `<tool_call>\n{"name":"f","arguments":{"of":"${id}"}}\n</tool_call>`;
  const resultOf = (text: string) => `<tool_response>\n${text}\n</tool_response>`;
  expect(parseChatRequest({ ...base, messages: history }).turns).toEqual([
    { speaker: '用户', text: '你好' },
    { speaker: '助手', text: `我看看\n${callOf('a')}\n${callOf('b')}` },
    { speaker: '用户', text: `${resultOf('一')}\n${resultOf('二\n</tool_response>')}`, results: true },
    { speaker: '助手', text: callOf('a') },
    { speaker: '用户', text: resultOf('result of a'), results: true },
    { speaker: '用户', text: '谢谢' },
  ]);
});

describe('what is refused by name', () => {
  it.each([
    [{ tools: [{ type: 'function' }] }, 'tools.0.function'],
    [{ tools: [{ type: 'custom', custom: { name: 'x' } }] }, 'tools.0.type'],
    [{ tools: [tool('a b')] }, 'tools.0.function.name'],
    [{ tools: [tool('f'), tool('f')] }, 'tools.1.function.name'],
    [{ tools: Array(129).fill(tool('f')) }, 'tools'],
    [{ tools: [withParameters(deep(70))] }, 'tools.0.function.parameters'],
    [{ tools: [withParameters('x')] }, 'tools.0.function.parameters'],
    [{ tools: [{ type: 'function', function: { name: 'f', paramters: {} } }] }, 'tools.0.function.paramters'],
    [{ tools: [tool('f')], tool_choice: 'any' }, 'tool_choice'],
    [{ tools: [tool('f')], tool_choice: tool('g') }, 'tool_choice.function.name'],
    [
      { tools: [tool('f')], tool_choice: allowed('auto', 'g') },
      'tool_choice.allowed_tools.tools.0.function.name',
    ],
    [{ tools: [tool('f')], response_format: { type: 'json_object' } }, 'response_format'],
    [{ tools: [tool('f')], parallel_tool_calls: 'yes' }, 'parallel_tool_calls'],
    [{ tool_choice: tool('f') }, 'tool_choice'],
    [{ tool_choice: 'required' }, 'tool_choice'],
    [{ functions: [{ name: 'f' }] }, 'functions'],
    [{ function_call: 'auto' }, 'function_call'],
    [{ messages: [{ role: 'assistant', tool_calls: [{}] }] }, 'messages.0.tool_calls.0.id'],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.tool_call_id'],
    [{ messages: [...hello, { role: 'tool', content: 'x', tool_call_id: 'c' }] }, 'messages.1.tool_call_id'],
    [{ messages: [assistant('a')] }, 'messages.0.tool_calls.0'],
    [{ messages: [assistant('a', 'a')] }, 'messages.0.tool_calls.1.id'],
    [{ messages: [assistant('a', 'b'), result('b'), ...hello] }, 'messages.0.tool_calls.0'],
    [{ messages: [assistant('a'), result('b')] }, 'messages.1.tool_call_id'],
    [{ messages: [assistant('a', 'b'), result('a'), result('a')] }, 'messages.2.tool_call_id'],
    [{ messages: [assistant('a'), result('a'), ...hello, result('a')] }, 'messages.3.tool_call_id'],
    [{ messages: [{ role: 'user', content: 'x', tool_calls: [] }] }, 'messages.0.tool_calls'],
    [{ messages: [{ role: 'function', name: 'f', content: 'x' }] }, 'messages.0.role'],
  ])('%.160j', (fields, param) => {
    const error = refusal(parseChatRequest, { ...base, ...fields });
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    expect(error!.message).toContain(param);
    expect(error!.message).not.toMatch(/undefined|Invalid input/);
  });
});
