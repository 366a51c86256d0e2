/** The SDK's further entry points before the real edge, node and model. */
import { Huozi } from 'huozi/all';
import { Conversation } from 'huozi/conversation';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Stack, startStack } from '../stack.ts';

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
