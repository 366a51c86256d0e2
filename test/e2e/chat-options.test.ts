/** The options of a chat, by openai's own client, against the real edge, node and model. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, type Stack, startStack } from '../stack.ts';

let stack: Stack;
let client: OpenAI;
beforeAll(async () => {
  stack = await startStack(['--threads', '1', '--context', '512', '--slots', '2']);
  client = new OpenAI({ baseURL: stack.baseURL, apiKey: stack.apiKey, maxRetries: 0 });
});
afterAll(() => stack?.stop());

const count = { role: 'user', content: '从1数到10' } as const;
const ask = (fields: object) =>
  client.chat.completions.create({
    model: 'huozi',
    messages: [count],
    temperature: 0,
    ...fields,
  } as OpenAI.ChatCompletionCreateParamsNonStreaming);
const tokenize = (body: object) =>
  client.post<{ tokens: number[]; count: number; max_model_len: number }>('/tokenize', { body });

describe('tokens', () => {
  it('are counted beforehand as the answer’s usage counts them', async () => {
    const messages = [{ role: 'system', content: '你是一个智能助手' }, count];
    const { tokens, count: counted, max_model_len } = await tokenize({ messages });
    const { usage } = await ask({ messages, max_tokens: 1 });
    expect(counted).toBe(usage!.prompt_tokens);
    expect(tokens).toHaveLength(counted);
    expect(max_model_len).toBe(512);
  });

  it.skipIf(lacks('logit_bias'))('that are biased enough come alone, or not at all', async () => {
    const tokenOf = async (text: string) =>
      (await tokenize({ prompt: text, add_special_tokens: false })).tokens.at(-1)!;
    const [good, day] = [await tokenOf('好'), await tokenOf('天')];
    const text = async (logit_bias: object) =>
      (await ask({ max_tokens: 4, logit_bias })).choices[0]!.message.content!.replaceAll(' ', '');
    expect(await text({ [good]: 100 })).toBe('好好好好');
    expect(await text({ [good]: 90, [day]: 100 })).toBe('天天天天');
    expect(await text({ [good]: 90, [day]: -100 })).toBe('好好好好');
  });

  it('that the model does not have are refused by name', async () => {
    await expect(ask({ logit_bias: { 9999999: 1 } })).rejects.toMatchObject({
      status: 400,
      param: 'logit_bias',
    });
  });

  it.skipIf(lacks('min_tokens'))('come at least as many as are asked for', async () => {
    const whole = await ask({});
    const min_tokens = whole.usage!.completion_tokens + 20;
    const more = await ask({ min_tokens, max_tokens: min_tokens + 5 });
    expect(more.usage!.completion_tokens).toBeGreaterThanOrEqual(min_tokens);
  });
});

it('an answer goes on with the last message', async () => {
  const whole = (await ask({})).choices[0]!.message.content!;
  const begin = whole.slice(0, 6);
  const rest = await ask({
    messages: [count, { role: 'assistant', content: begin }],
    continue_final_message: true,
  });
  expect(begin + rest.choices[0]!.message.content).toBe(whole);
});

describe('a conversation that is longer than the context', () => {
  const round = (n: number) => [
    { role: 'user', content: `问题${n}：${'春眠不觉晓，处处闻啼鸟。'.repeat(8)}` },
    { role: 'assistant', content: '夜来风雨声，花落知多少。'.repeat(4) },
  ];
  const messages = [
    { role: 'system', content: '你是一个智能助手' },
    ...[1, 2, 3, 4, 5, 6].flatMap(round),
    count,
  ];

  it('is refused with both numbers', async () => {
    const { count: length } = await tokenize({ messages });
    expect(length).toBeGreaterThan(512);
    const error = await ask({ messages }).catch((error) => error);
    expect(error).toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'messages' });
    expect(error.message).toContain('512');
    expect(error.message).toContain(String(length));
  });

  it('or is shortened, and then answered as what is left would be', async () => {
    const short = await ask({ messages, truncation: 'auto', max_tokens: 40 });
    expect(short.usage!.prompt_tokens).toBeLessThanOrEqual(512 - 40);
    // As few rounds go as it takes.
    const lengths = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async (gone) => {
        const { count } = await tokenize({ messages: [messages[0], ...messages.slice(1 + 2 * gone)] });
        return count;
      }),
    );
    expect(short.usage!.prompt_tokens).toBe(lengths.find((length) => length <= 512 - 40));
  });
});
