/** Through the AI SDK itself, not against its types alone. */
import { generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { createHuozi } from '../src/ai-sdk/provider.ts';
import { Huozi } from '../src/index.ts';
import { chunk, events, first, last, text, usageChunk } from './answers.ts';
import { fakeFetch, json, sse } from './fake-fetch.ts';

function modelOf(...answers: Parameters<typeof fakeFetch>) {
  const fake = fakeFetch(...answers);
  const client = new Huozi({ baseURL: 'http://edge.test', apiKey: 'k', fetch: fake.fetch, maxRetries: 0 });
  return { fake, model: createHuozi(client)('huozi') };
}
const lines = (...data: object[]) => data.map((one) => `data: ${JSON.stringify(one)}\n\n`);

test('generateText: text, usage, reason; settings and Huozi’s own options arrive under the API’s names', async () => {
  const { fake, model } = modelOf(sse());
  const result = await generateText({
    model,
    system: '你是诗人',
    prompt: '你好',
    temperature: 0,
    maxOutputTokens: 9,
    stopSequences: ['。'],
    providerOptions: { huozi: { min_p: 0.1 } },
  });
  expect(result.text).toBe(text);
  expect(result.finishReason).toBe('stop');
  expect(result.usage).toMatchObject({ inputTokens: 3, outputTokens: 4, totalTokens: 7 });
  expect(result.response).toMatchObject({ id: 'chatcmpl-1', modelId: 'huozi' });
  expect(fake.requests[0]!.body).toEqual({
    model: 'huozi',
    messages: [
      { role: 'system', content: '你是诗人' },
      { role: 'user', content: '你好' },
    ],
    max_tokens: 9,
    temperature: 0,
    stop: ['。'],
    min_p: 0.1,
    stream: true,
    stream_options: { include_usage: true },
    resumable: true,
  });
});

test('streamText streams', async () => {
  const { model } = modelOf(sse());
  const pieces: string[] = [];
  const result = streamText({ model, prompt: '你好' });
  for await (const piece of result.textStream) pieces.push(piece);
  expect(pieces).toEqual(['你好', '，世界']);
  expect(await result.usage).toMatchObject({ totalTokens: 7 });
});

test('tools: the AI SDK calls them and goes on', async () => {
  const call = lines(
    chunk({
      tool_calls: [
        { index: 0, id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } },
      ],
    }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: '"哈尔滨"}' } }] }),
    chunk({}, 'tool_calls'),
    usageChunk,
  );
  const { fake, model } = modelOf(sse(call), sse());
  const asked: unknown[] = [];
  const weather = tool({
    inputSchema: z.object({ city: z.string() }),
    execute: (input) => {
      asked.push(input);
      return { celsius: -20 };
    },
  });
  const result = streamText({ model, prompt: '冷吗', tools: { weather }, stopWhen: stepCountIs(3) });
  expect(await result.text).toBe(text);
  expect(asked).toEqual([{ city: '哈尔滨' }]);
  const { messages, tools } = fake.requests[1]!.body as { messages: unknown[]; tools: unknown[] };
  expect(tools).toMatchObject([
    { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } },
  ]);
  expect(messages.slice(1)).toEqual([
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"哈尔滨"}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'call_1', content: '{"celsius":-20}' },
  ]);
});

test('an object of a schema', async () => {
  const { fake, model } = modelOf(sse(lines(chunk({ content: '{"title":"静夜思"}' }), last, usageChunk)));
  const { output } = await generateText({
    model,
    prompt: '诗',
    output: Output.object({ schema: z.object({ title: z.string() }) }),
  });
  expect(output).toEqual({ title: '静夜思' });
  expect(fake.requests[0]!.body).toMatchObject({ response_format: { type: 'json_schema' } });
});

test('a cut stream is an error, and ours', async () => {
  const { model } = modelOf(sse(lines(first)));
  const result = streamText({ model, prompt: '你好', onError: () => {} });
  const errors: unknown[] = [];
  for await (const part of result.fullStream) if (part.type === 'error') errors.push(part.error);
  expect(errors).toMatchObject([{ name: 'TruncatedError' }]);
});

test('what fails is tried by us alone', async () => {
  const { fake, model } = modelOf(json({ error: { message: 'no', code: 'overloaded' } }, { status: 503 }));
  await expect(generateText({ model, prompt: '你好' })).rejects.toMatchObject({
    code: 'overloaded',
    status: 503,
  });
  expect(fake.requests).toHaveLength(1);
});

test('a stop of the reader closes the connection', async () => {
  const { fake, model } = modelOf(sse(events.slice(0, 1), { hang: true }));
  const { stream } = await model.doStream({
    prompt: [{ role: 'user', content: [{ type: 'text', text: '你好' }] }],
  });
  const reader = stream.getReader();
  await reader.read();
  await reader.cancel();
  expect(fake.requests[0]!.signal.aborted).toBe(true);
});

test('a picture is a warning, not a secret loss', async () => {
  const { model } = modelOf(sse());
  const { warnings } = await model.doGenerate({
    prompt: [
      {
        role: 'user',
        content: [
          { type: 'text', text: '看' },
          { type: 'file', mediaType: 'image/png', data: new Uint8Array(1) },
        ],
      },
    ],
  });
  expect(warnings).toEqual([{ type: 'unsupported', feature: 'file in a message' }]);
});
