/** Adapters by name, from the client to the engine: real edge, node and model; the adapter is made of random numbers. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { craftAdapter } from '../../gpu-backend/src/gguf/testing/crafted-adapter.ts';
import { createKey } from '../../src/dev/dev-key.ts';
import { type Stack, startStack } from '../stack.ts';

let stack: Stack;
let folder: string;
let client: OpenAI;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huozi-lora-'));
  await craftAdapter(join(folder, 'one.gguf'), 1, 3);
  stack = await startStack(['--threads', '1', '--lora', `one=${join(folder, 'one.gguf')}`]);
  client = new OpenAI({ baseURL: stack.baseURL, apiKey: stack.apiKey, maxRetries: 0 });
});
afterAll(async () => {
  await stack?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const ask = (model: string, by = client) =>
  by.chat.completions.create({
    model,
    messages: [{ role: 'user', content: '中国的首都是哪里？' }],
    temperature: 0,
    max_tokens: 16,
  });

it('is listed as model:adapter, and answers under that name', async () => {
  const models = (await client.models.list()).data;
  expect(models.map(({ id }) => id)).toEqual(['huozi', 'huozi:one']);
  expect(models[1]).toMatchObject({ parent: 'huozi' });
  expect(models[0]).not.toHaveProperty('parent');
  const [plain, one] = await Promise.all([ask('huozi'), ask('huozi:one')]);
  expect(plain.choices[0]!.message.content).toBe('中国的首都是北京。');
  expect(one.choices[0]!.message.content).not.toBe('中国的首都是北京。');
  expect(one.model).toBe('huozi:one');
  expect((await ask('huozi:one')).choices[0]!.message.content).toBe(one.choices[0]!.message.content);
});

it('is a model of its own to keys', async () => {
  const { key } = await createKey(stack.baseURL.replace('/v1', ''), stack.adminToken, {
    name: 'one',
    models: ['huozi:one'],
  });
  const only = new OpenAI({ baseURL: stack.baseURL, apiKey: key, maxRetries: 0 });
  expect((await only.models.list()).data.map(({ id }) => id)).toEqual(['huozi:one']);
  expect((await ask('huozi:one', only)).model).toBe('huozi:one');
  await expect(ask('huozi', only)).rejects.toMatchObject({ status: 403 });
});

it.each(['huozi:two', 'huozi:', 'other:one', ':one'])('%j is not served', async (model) => {
  await expect(ask(model)).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
});
