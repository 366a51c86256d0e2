/** The SDK's further entry points before the real edge, node and model. */
import { Huozi } from 'huozi/all';
import { Conversation } from 'huozi/conversation';
import { parse } from 'huozi/structured';
import { runTools, tool } from 'huozi/tools';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { lacks, type Stack, startStack } from '../stack.ts';

let stack: Stack;
let huozi: Huozi;
beforeAll(async () => {
  stack = await startStack();
  huozi = new Huozi({ baseURL: stack.baseURL, apiKey: stack.apiKey });
});
afterAll(() => stack?.stop());

const request = { model: 'huozi', input: '背诵《静夜思》', temperature: 0 };

it('responses: whole, streamed, asked for again, forgotten', async () => {
  const whole = await huozi.responses.create({ ...request, store: true });
  expect(whole.output_text).toContain('床前明月光');
  const stream = await huozi.responses.create({ ...request, stream: true });
  let text = '';
  for await (const piece of stream.textStream) text += piece;
  const { output_text, status } = await stream.finalResponse();
  expect(status).toBe('completed');
  expect([text, output_text]).toEqual([whole.output_text, whole.output_text]);
  expect(stream.usage?.output_tokens).toBeGreaterThan(5);

  expect((await huozi.responses.retrieve(whole.id)).output_text).toBe(whole.output_text);
  expect(await huozi.responses.delete(whole.id)).toMatchObject({ deleted: true });
  await expect(huozi.responses.retrieve(whole.id)).rejects.toMatchObject({ status: 404 });
});

it('a conversation: two turns, the second again, with the node’s own count of tokens', async () => {
  const chat = new Conversation(huozi, { model: 'huozi', temperature: 0, contextTokens: 512 });
  for (const turn of ['从1数到10', '背诵《静夜思》']) await (await chat.send(turn)).finalMessage();
  const said = chat.messages.map(({ content }) => content);
  expect(said[3]).toContain('床前明月光');
  await (await chat.regenerate()).finalMessage();
  expect(chat.messages.map(({ content }) => content)).toEqual(said);
});

it.skipIf(lacks('forms'))(
  'an answer of a schema: the node samples nothing else, however small the model',
  async () => {
    const Schema = z.object({ n: z.int().min(0).max(99), ok: z.boolean() });
    const messages = [{ role: 'user' as const, content: '静夜思' }];
    const body = { model: 'huozi', temperature: 0, max_tokens: 200, messages };
    const { value } = await parse(huozi, body, Schema);
    expect(Schema.parse(value)).toEqual(value);
  },
);

it.skipIf(lacks('forms'))('a forced call reaches the function with arguments of its schema', async () => {
  const given: unknown[] = [];
  const weather = tool({
    description: 'Weather of a city, now',
    parameters: z.object({ city: z.enum(['哈尔滨', '北京']), days: z.int().min(1).max(7) }),
    run: (args) => {
      given.push(args);
      return { celsius: -20 };
    },
  });
  const messages = [{ role: 'user' as const, content: '哈尔滨冷吗' }];
  const body = {
    model: 'huozi',
    temperature: 0,
    max_tokens: 120,
    messages,
    tool_choice: 'required' as const,
  };
  // What a model of this size makes of the result is its own; the loop may also end by its bound.
  const ended = await runTools(huozi, body, { weather }, { maxRounds: 2 }).catch((error) => error.code);
  expect(ended === 'too_many_rounds' || typeof ended.text === 'string').toBe(true);
  expect(given.length).toBeGreaterThan(0);
  expect(given[0]).toEqual({ city: expect.stringMatching(/^(哈尔滨|北京)$/), days: expect.any(Number) });
});
