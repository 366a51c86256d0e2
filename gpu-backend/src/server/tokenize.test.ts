import { expect, test } from 'vitest';
import { send } from './testing/client.ts';
import { startTestNode } from './testing/start.ts';

const path = '/v1/tokenize';
const asked = async (...args: Parameters<typeof send>) => {
  const answer = (await send(...args)).read();
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
};

test('a prompt comes back as the tokens that the engine makes of it', async () => {
  const { url, engine } = await startTestNode();
  const prompt = [{ control: 'bos' as const }, { text: '你好' }, { control: 'end' as const }];
  const tokens = [...engine.tokenize(prompt)];
  expect(tokens.length).toBeGreaterThan(0);
  expect(await asked(url, path, { prompt })).toEqual({ status: 200, body: { tokens, count: tokens.length } });
});

test('what is wrong is named, and the token is asked for', async () => {
  const { url } = await startTestNode();
  for (const [param, body] of [
    ['prompt', {}],
    ['prompt', { prompt: [] }],
    ['prompt.0.control', { prompt: [{ control: 'eos' }] }],
    ['text', { prompt: [{ text: 'x' }], text: 'x' }],
  ] as const) {
    expect(await asked(url, path, body)).toMatchObject({ status: 400, body: { error: { param } } });
  }
  expect(await asked(url, path, { prompt: [{ text: 'x' }] }, { token: null })).toMatchObject({ status: 401 });
});
