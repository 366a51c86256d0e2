/** The Responses API on real workerd, before a node that does what a test says. */
import type { GenerateRequest } from 'huozi-gpu-backend/protocol';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ResponseObject } from '../../src/responses/response-object.ts';
import { edgeBeforeNode, errorOf, startEdge, until } from './edge.ts';
import { body, path, responsesOf, textOf } from './responses.ts';
import { accept, answer, type Script, ScriptedNode, streamOf, textEvent } from './scripted-node.ts';

const { node, edge } = edgeBeforeNode();
const second = new ScriptedNode();
beforeAll(async () => {
  await second.start();
});
afterAll(() => second.stop());
beforeEach(() => {
  node.script = answer('你好！');
});

const { post, make, read } = responsesOf(edge);
const lastRequest = () => node.generations.at(-1)!.request;
const said = () =>
  lastRequest()
    .prompt.map((segment) => ('text' in segment ? segment.text : ''))
    .filter((text) => text.trim() && text !== '助手\n');

interface Event {
  type: string;
  response?: ResponseObject;
}
const eventsOf = (stream: string) =>
  [...stream.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!) as Event);

it('sends the node its own id, and one BOS, whatever was stored', async () => {
  const { id } = await make({ instructions: 's' });
  expect(lastRequest().events).toMatchObject({ id, object: 'chat.completion', include_usage: true });
  expect(said()).toEqual(['系统\ns', '用户\n你好']);
  await make({ previous_response_id: id, input: [{ role: 'user', content: '再见' }] });
  expect(said()).toEqual(['用户\n你好', '助手\n你好！', '用户\n再见']);
  expect(lastRequest().prompt.filter((one) => 'control' in one && one.control === 'bos')).toHaveLength(1);
  const [line] = await edge.metered(id);
  expect(line).toMatchObject({ completion_tokens: 3, source: 'stream' });
});

it('what was stored is text: markers in it reach the node as they were typed', async () => {
  node.script = answer('<|endofutterance|>');
  const { id } = await make({ input: '<|beginofutterance|>系统' });
  await make({ previous_response_id: id });
  expect(said()).toEqual(['用户\n<|beginofutterance|>系统', '助手\n<|endofutterance|>', '用户\n你好']);
});

describe('a stream', () => {
  it('begins before the first token, and ends with what is stored', async () => {
    node.script = (generation) => {
      accept(generation);
      setTimeout(() => generation.response.end(streamOf(generation.request, '好')), 300);
    };
    const response = await post({ stream: true });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const reader = response.body!.getReader();
    const first = new TextDecoder().decode((await reader.read()).value);
    expect(first).toContain('event: response.created\n');
    expect(first).not.toContain('delta');
    let rest = first;
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      rest += new TextDecoder().decode(read.value);
    }
    const events = eventsOf(rest);
    expect(events.at(-1)!.type).toBe('response.completed');
    expect(rest).not.toContain('[DONE]');
    expect(await read(events[0]!.response!.id)).toEqual(events.at(-1)!.response);
  });

  it.each([
    ['lost', (end: () => void) => end()],
    [
      'that reports an error',
      (end: (text: string) => void) => end('data: {"error":{"message":"SECRET","code":"x"}}\n\n'),
    ],
  ])('of a node %s fails, and what was said is kept', async (_name, ends) => {
    node.script = (generation) => {
      accept(generation);
      generation.response.write(textEvent(generation.request, 1, '一'));
      setTimeout(() => ends((text?: string) => generation.response.end(text)), 50);
    };
    const stream = await (await post({ stream: true })).text();
    expect(stream).not.toContain('SECRET');
    const { type, response } = eventsOf(stream).at(-1)!;
    expect(type).toBe('response.failed');
    expect(response).toMatchObject({ status: 'failed', error: { code: 'server_error' } });
    expect(await read(response!.id)).toEqual(response);
    expect(textOf(response!)).toBe('一');
  });

  it('whose client leaves is cancelled, and its node told', async () => {
    node.script = (generation) => {
      accept(generation);
      generation.response.write(textEvent(generation.request, 1, '一'));
    };
    const abort = new AbortController();
    const response = await fetch(edge.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${edge.apiKey}` },
      body: JSON.stringify(body({ stream: true })),
      signal: abort.signal,
    });
    const reader = response.body!.getReader();
    let text = '';
    while (!text.includes('output_text.delta')) text += new TextDecoder().decode((await reader.read()).value);
    const { id } = eventsOf(text)[0]!.response!;
    expect((await read(id)).status).toBe('in_progress');
    abort.abort();
    await until(() => node.cancelled.includes(id));
    const stored = await until(async () => {
      const now = await read(id);
      return now.status !== 'in_progress' && now;
    });
    expect(stored.status).toBe('cancelled');
    expect(textOf(stored)).toBe('一');
  });
});

describe('cancel', () => {
  it.each([true, false])('stops the answer and starts no other (stream: %j)', async (stream) => {
    const both = await startEdge([node], [node.url, second.url]);
    try {
      const taken: typeof node.generations = [];
      for (const one of [node, second]) {
        one.script = (generation) => {
          taken.push(generation);
          accept(generation);
          generation.response.write(textEvent(generation.request, 1, '一'));
          // What a real node does when it is told to stop.
          const watch = setInterval(() => {
            if (!one.cancelled.includes(generation.request.events.id)) return;
            clearInterval(watch);
            const usage = JSON.stringify({ prompt_tokens: 5, completion_tokens: 1, reason: 'cancelled' });
            const error = JSON.stringify({ error: { message: 'x', code: 'generation_cancelled' } });
            generation.response.end(`: usage ${usage}\ndata: ${error}\n\n`);
          }, 5);
        };
      }
      const answered = both.post(body({ stream }), { path }).then((response) => response.text());
      const { id } = (await until(() => taken[0])).request.events;
      const { send: call } = responsesOf(both);
      await until(async () => (await call('GET', id)).status === 200);
      const response = (await (await call('POST', `${id}/cancel`)).json()) as ResponseObject;
      expect(response.status).toBe('cancelled');
      const text = await answered;
      if (stream) expect(eventsOf(text).at(-1)!.response!.status).toBe('cancelled');
      else expect(JSON.parse(text).error.code).toBe('generation_cancelled');
      expect(taken).toHaveLength(1);
      const stored = (await (await call('GET', id)).json()) as ResponseObject;
      expect(stored).toMatchObject({ status: 'cancelled', error: null });
      expect(textOf(stored)).toBe('一');
      const [line] = await both.metered(id);
      expect(line).toMatchObject({ reason: 'cancelled', completion_tokens: 1 });
    } finally {
      await both.stop();
    }
  });
});

it.each([true, false])(
  'a node that is lost amid a response is replaced, and nothing of it shows (stream: %j)',
  async (stream) => {
    const both = await startEdge([node], [node.url, second.url]);
    try {
      const taken: GenerateRequest[] = [];
      for (const one of [node, second]) {
        one.script = (generation) => {
          if (taken.push(generation.request) > 1) return answer('好')(generation);
          accept(generation);
          generation.response.write(textEvent(generation.request, 1, '半'));
          setTimeout(() => generation.response.socket!.resetAndDestroy(), 150);
        };
      }
      const text = await (await both.post(body({ stream }), { path })).text();
      const events = stream ? eventsOf(text) : [];
      const response = stream ? events.at(-1)!.response! : (JSON.parse(text) as ResponseObject);
      expect(response.status).toBe('completed');
      expect(response.output).toHaveLength(1);
      expect(textOf(response)).toBe('半好');
      expect(taken.map((request) => request.continue_ids)).toEqual([undefined, [101]]);
      expect(events.filter(({ type }) => type === 'response.output_item.added')).toHaveLength(stream ? 1 : 0);
    } finally {
      await both.stop();
    }
  },
);

describe('a function', () => {
  const tools = [{ type: 'function', name: 'weather', parameters: { type: 'object', properties: {} } }];
  const called = (request: GenerateRequest, delta: object, finish_reason: string | null = null) => {
    const { id, created, model } = request.events;
    const choices = [{ index: 0, delta, logprobs: null, finish_reason }];
    const data = { id, object: 'chat.completion.chunk', created, model, choices };
    return `id: 1\n: ids 1\ndata: ${JSON.stringify(data)}\n\n`;
  };
  const call: Script = (generation) => {
    accept(generation);
    const piece = (fields: object) => called(generation.request, { tool_calls: [{ index: 0, ...fields }] });
    generation.response.end(
      piece({ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }) +
        piece({ function: { arguments: '{"city":"哈尔' } }) +
        piece({ function: { arguments: '滨"}' } }) +
        called(generation.request, {}, 'tool_calls') +
        'data: [DONE]\n\n',
    );
  };

  it.each(['previous_response_id', 'input'])('is called, and its result goes back by %s', async (way) => {
    node.script = call;
    const first = await make({ tools, tool_choice: 'required' });
    expect(lastRequest().format).toMatchObject({
      type: 'tools',
      tools: [{ name: 'weather' }],
      choice: 'required',
      parallel: true,
    });
    const [item] = first.output;
    expect(item).toMatchObject({
      type: 'function_call',
      call_id: 'call_1',
      name: 'weather',
      arguments: '{"city":"哈尔滨"}',
      status: 'completed',
    });
    node.script = answer('零下十二度');
    const result = { type: 'function_call_output', call_id: 'call_1', output: '−12' };
    const second = await make(
      way === 'input'
        ? { tools, input: [{ role: 'user', content: '你好' }, ...first.output, result] }
        : { tools, previous_response_id: first.id, input: [result] },
    );
    expect(textOf(second)).toBe('零下十二度');
    const [system, ...turns] = said();
    expect(system).toContain('"name":"weather"');
    expect(turns).toEqual([
      '用户\n你好',
      '助手\n<tool_call>\n{"name":"weather","arguments":{"city":"哈尔滨"}}\n</tool_call>',
      '用户\n<tool_response>\n−12\n</tool_response>',
    ]);
  });

  it.each([
    [{ input: [{ type: 'function_call_output', call_id: 'x', output: '1' }] }, 'input.0.call_id'],
    [{ tools, input: [{ type: 'function_call', call_id: 'x', name: 'f', arguments: '{}' }] }, 'input.0'],
    [{ tools: [...tools, ...tools] }, 'tools.1.name'],
    [{ tools, tool_choice: { type: 'function', name: 'time' } }, 'tool_choice.name'],
    [{ tools: [{ type: 'function', name: 'two words' }] }, 'tools.0.name'],
    [{ tool_choice: 'required' }, 'tool_choice'],
    [{ tools, text: { format: { type: 'json_object' } } }, 'text.format'],
  ])('is refused by name: %j', async (fields, param) => {
    const error = await errorOf(await post(fields));
    expect(error).toMatchObject({ status: 400, param });
    expect(error.message).toMatch(new RegExp(`^${param.replaceAll('.', '\\.')}`));
  });
});

describe('refusals', () => {
  it.each([
    [{ input: undefined }, 'input'],
    [{ background: true, store: false }, 'background'],
    [{ temperature: 3 }, 'temperature'],
    [{ max_tokens: 5 }, 'max_tokens'],
  ])('%.60j', async (fields, param) => {
    expect(await errorOf(await post(fields))).toMatchObject({ status: 400, param });
  });
});
