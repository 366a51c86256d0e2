import { describe, expect, expectTypeOf, test } from 'vitest';
import * as z from 'zod';
import { type ChatCompletionCreateParams, Huozi } from '../src/index.ts';
import { runTools, tool } from '../src/tools.ts';
import { chunk, last, usageChunk } from './answers.ts';
import { fakeFetch, sse } from './fake-fetch.ts';

const body = { model: 'huozi', messages: [{ role: 'user' as const, content: '哈尔滨冷吗' }] };

const lines = (...data: object[]) => [
  ...data.map((one) => `data: ${JSON.stringify(one)}\n\n`),
  'data: [DONE]\n\n',
];
const says = (text: string) => sse(lines(chunk({ content: text }), last, usageChunk));
/** In pieces, as a server streams them. */
const calls = (...list: [name: string, args: string][]) =>
  sse(
    lines(
      ...list.flatMap(([name, args], index) => [
        chunk({
          tool_calls: [{ index, id: `call_${index}`, type: 'function', function: { name, arguments: '' } }],
        }),
        chunk({ tool_calls: [{ index, function: { arguments: args.slice(0, 3) } }] }),
        chunk({ tool_calls: [{ index, function: { arguments: args.slice(3) } }] }),
      ]),
      chunk({}, 'tool_calls'),
      usageChunk,
    ),
  );

const weather = tool({
  description: 'Weather now',
  parameters: z.object({ city: z.string(), days: z.number().default(1) }),
  run: ({ city, days }) => {
    expectTypeOf(city).toEqualTypeOf<string>();
    expectTypeOf(days).toEqualTypeOf<number>();
    return { city, days, celsius: -20 };
  },
});

function client(...answers: Parameters<typeof fakeFetch>) {
  const fake = fakeFetch(...answers);
  return { fake, huozi: new Huozi({ baseURL: 'http://edge.test', apiKey: 'k', fetch: fake.fetch }) };
}
const sent = (fake: ReturnType<typeof fakeFetch>, at: number) =>
  fake.requests[at]!.body as ChatCompletionCreateParams;

describe('the loop', () => {
  test('call, result, answer; the schema is what the model is told', async () => {
    const { fake, huozi } = client(calls(['weather', '{"city":"哈尔滨"}']), says('零下二十度'));
    const texts: string[] = [];
    const told: unknown[] = [];
    const result = await runTools(
      huozi,
      { ...body, tool_choice: 'required' },
      { weather },
      {
        onText: (text) => texts.push(text),
        onCall: (call) => told.push(call),
      },
    );
    expect(result).toMatchObject({ text: '零下二十度', rounds: 2, usage: { total_tokens: 14 } });
    expect(texts).toEqual(['零下二十度']);
    expect(told).toEqual([
      { name: 'weather', args: { city: '哈尔滨' }, result: { city: '哈尔滨', days: 1, celsius: -20 } },
    ]);
    expect(sent(fake, 0).tools![0]!.function).toMatchObject({
      name: 'weather',
      description: 'Weather now',
      parameters: { type: 'object', required: ['city'] },
    });
    expect([sent(fake, 0).tool_choice, sent(fake, 1).tool_choice]).toEqual(['required', 'auto']);
    expect(sent(fake, 1).messages.slice(1)).toEqual([
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'call_0', type: 'function', function: { name: 'weather', arguments: '{"city":"哈尔滨"}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'call_0', content: '{"city":"哈尔滨","days":1,"celsius":-20}' },
    ]);
    expect(result.messages.at(-1)).toEqual({ role: 'assistant', content: '零下二十度' });
    expect(body.messages).toHaveLength(1);
  });

  test('calls of one answer run side by side, their results stand in order', async () => {
    let running = 0;
    let most = 0;
    const slow = tool({
      parameters: z.object({ n: z.number() }),
      run: async ({ n }) => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 20 - n));
        running--;
        return `${n}`;
      },
    });
    const { fake, huozi } = client(calls(['slow', '{"n":1}'], ['slow', '{"n":9}']), says('好'));
    await runTools(huozi, body, { slow });
    expect(most).toBe(2);
    expect(
      sent(fake, 1)
        .messages.slice(2)
        .map(({ content }) => content),
    ).toEqual(['1', '9']);
  });

  test.each<[string, [string, string], RegExp]>([
    ['arguments that are not of the schema', ['weather', '{"city":7}'], /city: /],
    ['arguments that are no JSON', ['weather', '{"city'], /JSON/],
    ['a tool that is none', ['constructor', '{}'], /There is no tool constructor; there are: weather/],
    ['a tool that throws', ['broken', '{}'], /out of order/],
  ])('%s: the model is told', async (_, call, message) => {
    const broken = tool({
      parameters: z.object({}),
      run: () => {
        throw new Error('out of order');
      },
    });
    const { fake, huozi } = client(calls(call), says('好'));
    const tools = call[0] === 'broken' ? { weather, broken } : { weather };
    const { text } = await runTools(huozi, body, tools);
    expect(text).toBe('好');
    const { role, content } = sent(fake, 1).messages.at(-1)!;
    expect(role).toBe('tool');
    expect(JSON.parse(content as string).error).toMatch(message);
  });

  test('a model that never comes to an end', async () => {
    const { fake, huozi } = client(calls(['weather', '{"city":"哈尔滨"}']));
    await expect(runTools(huozi, body, { weather }, { maxRounds: 3 })).rejects.toMatchObject({
      code: 'too_many_rounds',
    });
    expect(fake.requests).toHaveLength(3);
  });

  test('an abort inside of a tool ends the loop', async () => {
    const controller = new AbortController();
    const stopping = tool({ parameters: z.object({}), run: () => controller.abort() });
    const { fake, huozi } = client(calls(['stopping', '{}']));
    const running = runTools(huozi, body, { stopping }, { signal: controller.signal });
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    expect(fake.requests).toHaveLength(1);
  });
});
