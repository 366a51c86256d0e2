/** Forms, calls, choices and log-probabilities, by openai's own client, against the real edge, node and model. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, type Stack, startStack } from '../stack.ts';

let stack: Stack;
let client: OpenAI;
beforeAll(async () => {
  stack = await startStack();
  client = new OpenAI({ baseURL: stack.baseURL, apiKey: stack.apiKey, maxRetries: 0 });
});
afterAll(() => stack?.stop());

type Fields = Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> & Record<string, unknown>;
const body = (fields: Fields) => ({
  model: 'huozi',
  messages: [{ role: 'user' as const, content: '哈尔滨冷吗？' }],
  temperature: 0,
  max_tokens: 120,
  ...fields,
});
const ask = (fields: Fields) => client.chat.completions.create(body(fields));
/** The same, streamed and put together by openai's client. */
const stream = (fields: Fields) =>
  client.chat.completions.stream({ ...body(fields), stream: true }).finalChatCompletion();

const city = { type: 'string', enum: ['哈尔滨', '北京'] };
const weather = {
  type: 'function' as const,
  function: {
    name: 'weather',
    description: '一座城市的天气',
    parameters: { type: 'object', properties: { city }, required: ['city'], additionalProperties: false },
    strict: true,
  },
};
const now = { type: 'function' as const, function: { name: 'now', description: '现在的时间' } };

describe.skipIf(lacks('forms'))('calls of functions', () => {
  it.each([
    ['required', { tools: [weather], tool_choice: 'required' as const }],
    [
      'of one that is named',
      { tools: [now, weather], tool_choice: { type: 'function' as const, function: { name: 'weather' } } },
    ],
  ])('that are %s come in one piece and streamed alike', async (_name, fields) => {
    const settings = { ...fields, parallel_tool_calls: false, seed: 1 };
    const whole = await ask(settings);
    const [choice] = whole.choices;
    expect(choice!.finish_reason).toBe('tool_calls');
    const { message } = choice!;
    expect(message.content).toBeNull();
    expect(message.tool_calls).toHaveLength(1);
    const [call] = message.tool_calls as OpenAI.ChatCompletionMessageFunctionToolCall[];
    expect(call!.function.name).toBe('weather');
    expect(city.enum).toContain(JSON.parse(call!.function.arguments).city);
    const streamed = (await stream(settings)).choices[0]!;
    expect(streamed.finish_reason).toBe('tool_calls');
    const [again] = streamed.message.tool_calls as OpenAI.ChatCompletionMessageFunctionToolCall[];
    expect(again!.function).toMatchObject(call!.function);
  });

  it('and their results go back in, and are answered', async () => {
    const first = await ask({ tools: [weather], tool_choice: 'required', parallel_tool_calls: false });
    const { message } = first.choices[0]!;
    const second = await ask({
      tools: [weather],
      messages: [
        { role: 'user', content: '哈尔滨冷吗？' },
        message,
        { role: 'tool', tool_call_id: message.tool_calls![0]!.id, content: '−24 °C' },
      ],
      max_tokens: 16,
    });
    expect(second.usage!.prompt_tokens).toBeGreaterThan(first.usage!.prompt_tokens);
    expect(['stop', 'length', 'tool_calls']).toContain(second.choices[0]!.finish_reason);
  });

  it('of none: the answer is text', async () => {
    const { choices } = await ask({ tools: [weather], tool_choice: 'none', max_tokens: 16 });
    expect(choices[0]!.message.tool_calls).toBeUndefined();
    expect(choices[0]!.message.content).not.toBe('');
  });
});

describe('an answer in a form', () => {
  const schema = {
    type: 'object',
    properties: { city, cold: { type: 'boolean' } },
    required: ['city', 'cold'],
    additionalProperties: false,
  };
  const format = { type: 'json_schema' as const, json_schema: { name: 'weather', schema, strict: true } };

  it.skipIf(lacks('forms'))('is JSON of the schema, streamed and not', async () => {
    const whole = (await ask({ response_format: format })).choices[0]!;
    const parsed = JSON.parse(whole.message.content!);
    expect(Object.keys(parsed)).toEqual(['city', 'cold']);
    expect(city.enum).toContain(parsed.city);
    expect(whole.finish_reason).toBe('stop');
    expect((await stream({ response_format: format })).choices[0]!.message.content).toBe(
      whole.message.content,
    );
  });

  it.skipIf(lacks('forms'))('is one of the choices', async () => {
    const { choices } = await ask({ guided_choice: ['冷', '不冷'] });
    expect(['冷', '不冷']).toContain(choices[0]!.message.content);
  });

  it.skipIf(lacks('forms'))('is one that the grammar makes, also of a text completion', async () => {
    const guided_grammar = 'root ::= "a" [0-9] "b"';
    expect((await ask({ guided_grammar })).choices[0]!.message.content).toMatch(/^a\db$/);
    const prompt = '从前';
    const completion = await client.completions.create({ model: 'huozi', prompt, guided_grammar } as never);
    expect((completion as OpenAI.Completion).choices[0]!.text).toMatch(/^a\db$/);
  });

  it('that cannot be is refused by the name of its field, and where it is', async () => {
    const impossible = { type: 'object', properties: { a: { type: 'string', pattern: 5 } } };
    const json_schema = { name: 'a', schema: impossible };
    const error = await ask({ response_format: { type: 'json_schema', json_schema } }).catch(
      (error) => error,
    );
    expect(error).toMatchObject({ status: 400, param: 'response_format' });
    expect(error.message).toContain('pattern');
    const tools = [{ type: 'function' as const, function: { name: 'f', parameters: impossible } }];
    await expect(ask({ tools, tool_choice: 'required' })).rejects.toMatchObject({
      status: 400,
      param: 'tools',
    });
    await expect(ask({ guided_grammar: 'root ::= (' })).rejects.toMatchObject({ param: 'guided_grammar' });
  });
});

const several = { n: 3, temperature: 2, top_p: 1, seed: 5, max_tokens: 8 };
const textsOf = ({ choices }: OpenAI.ChatCompletion) => choices.map(({ message }) => message.content);

it('several choices are told apart, and each is counted', async () => {
  const whole = await ask(several);
  expect(whole.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
  expect(new Set(textsOf(whole)).size).toBeGreaterThan(1);
  expect(whole.usage!.completion_tokens).toBeGreaterThan(8);
});

it.skipIf(lacks('seeds'))('several choices are those of their seeds, alone and streamed', async () => {
  const texts = textsOf(await ask(several));
  const { seed, ...fields } = several;
  for (const [i, text] of texts.entries())
    expect(textsOf(await ask({ ...fields, n: 1, seed: seed + i }))).toEqual([text]);
  expect(textsOf(await stream(several))).toEqual(texts);
});

describe('log-probabilities', () => {
  it.skipIf(lacks('logprobs'))('of a chat stand beside each token, in one piece as streamed', async () => {
    const settings = { logprobs: true, top_logprobs: 3, max_tokens: 5 };
    const { choices } = await ask(settings);
    const content = choices[0]!.logprobs!.content!;
    expect(content).toHaveLength(5);
    for (const { logprob, bytes, top_logprobs } of content) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(bytes).toEqual(expect.any(Array));
      expect(top_logprobs).toHaveLength(3);
      // Greedy: the token itself is the likeliest.
      expect(top_logprobs[0]!.logprob).toBeCloseTo(logprob, 3);
    }
    const text = Buffer.from(content.flatMap(({ bytes }) => bytes!)).toString();
    expect(text.trimStart()).toBe(choices[0]!.message.content!.trimStart());
    const streamed = await stream(settings);
    expect(streamed.choices[0]!.logprobs!.content!.map(({ token }) => token)).toEqual(
      content.map(({ token }) => token),
    );
  });

  it.skipIf(lacks('logprobs'))('of a text completion are lists side by side', async () => {
    // Past the end that the model sees at once.
    const text = { model: 'huozi', prompt: '春眠不觉晓', max_tokens: 4, temperature: 0, ignore_eos: true };
    const [choice] = (await client.completions.create({ ...text, logprobs: 2 })).choices;
    const { tokens, token_logprobs, top_logprobs, text_offset } = choice!.logprobs!;
    expect(tokens).toHaveLength(4);
    for (const list of [token_logprobs, top_logprobs, text_offset]) expect(list).toHaveLength(4);
    const [echoed] = (await client.completions.create({ ...text, echo: true })).choices;
    expect(echoed!.text).toBe(text.prompt + choice!.text);
  });
});

// vLLM reads them with Triton, which its build for CPUs lacks; llama-server does not tell them.
it.skipIf(lacks('experts'))('routed experts come along where they are asked for', async () => {
  const answer = (await ask({ return_routed_experts: true, max_tokens: 4 })) as OpenAI.ChatCompletion & {
    routed_experts: string;
  };
  const info = (await (
    await fetch(`${stack.node.url}/v1/node`, { headers: { authorization: `Bearer ${stack.nodeToken}` } })
  ).json()) as { experts: number; experts_used: number };
  const experts = [...Buffer.from(answer.routed_experts, 'base64')];
  const perToken = experts.length / answer.usage!.completion_tokens;
  expect(perToken % info.experts_used).toBe(0);
  expect(Math.max(...experts)).toBeLessThan(info.experts);
});
