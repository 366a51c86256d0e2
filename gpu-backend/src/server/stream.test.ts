/** The bytes of protocol.ts, exactly, over real HTTP. The engine is scripted: text and ids must be known. */
import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { ping } from '../ping.ts';
import { AnswerEvents } from './answer-events.ts';
import { EventStream } from './event-stream.ts';
import { Frames, systemFingerprint } from './frames.ts';
import { generateBody, send } from './testing/client.ts';
import { startTestNode } from './testing/start.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';

const start = async (...args: Parameters<typeof generateBody>) => {
  const { url, engine, ...rest } = await startTestNode();
  const arrival = engine.arrival();
  const answer = await send(url, '/v1/generate', generateBody(...args), {
    headers: { 'x-request-id': 'req-7', traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
  });
  return { answer: answer.read(), generation: await arrival, fp: systemFingerprint(engine.info), ...rest };
};

test('headers leave when the request is accepted, before any token', async () => {
  const { answer, generation } = await start();
  // Here the response's headers have arrived and the engine has done nothing yet.
  expect(answer.status).toBe(200);
  expect(answer.response.headers).toMatchObject({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    'x-request-id': 'req-7',
    'transfer-encoding': 'chunked',
  });
  expect(answer.text).toBe('');
  generation.end('stop');
  expect(await answer.ended).toBe(true);
});

test('chat: role with the first text, an event a write, the end in one write', async () => {
  const { answer, generation, fp } = await start({ events: { include_usage: true } });
  generation.text('你', 312, 447);
  await answer.until('你');
  generation.text('"好"\n', 5);
  await answer.until('好');
  generation.end('stop');
  await answer.ended;

  const head = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"huozi","system_fingerprint":"${fp}","choices":`;
  expect(answer.writes).toEqual([
    `id: 0\ndata: ${head}[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}\n\n` +
      `id: 2\n: ids 312,447\ndata: ${head}[{"index":0,"delta":{"content":"你"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n`,
    `id: 3\n: ids 5\ndata: ${head}[{"index":0,"delta":{"content":"\\"好\\"\\n"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n`,
    `id: 3\ndata: ${head}[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}\n\n` +
      `id: 3\ndata: ${head}[],"usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6}}\n\n` +
      ': usage {"prompt_tokens":3,"completion_tokens":3,"reason":"stop"}\ndata: [DONE]\n\n',
  ]);
});

test('text is written in the turn of the event loop that brought it', async () => {
  const writes: string[] = [];
  const response = {
    destroyed: false,
    writableLength: 0,
    on: () => undefined,
    writeHead: () => undefined,
    flushHeaders: () => undefined,
    write: (bytes: string) => writes.push(bytes),
    end: (bytes: string) => writes.push(bytes),
  } as unknown as ServerResponse;
  const frames = new Frames(generateBody().events, 'fp');
  const answer = new AnswerEvents(generateBody(), 'fp');
  const stream = new EventStream(response, answer, { pingMs: 60_000, maxBufferedBytes: 1 }, () => undefined);
  const turn = () => new Promise<void>((resolve) => process.nextTick(resolve));
  stream.open('request-1');
  stream.onText('a', [1], 1, undefined, 0);
  stream.onText('b', [2], 2, undefined, 0);
  await turn();
  expect(writes).toEqual([frames.role() + frames.text('a', [1], 1) + frames.text('b', [2], 2)]);
  const usage = { prompt_tokens: 1, completion_tokens: 2, reason: 'stop' } as const;
  const end = { reason: 'stop', promptTokens: 1, completionTokens: 2 } as const;
  stream.onChoiceEnd(end, 2, 0);
  stream.onEnd(end, usage, undefined);
  await turn();
  expect(writes[1]).toBe(frames.finish('stop', 2) + frames.done(usage));
});

test('events that come before the engine has said yes wait for the headers', async () => {
  const calls: string[] = [];
  const response = {
    destroyed: false,
    writableLength: 0,
    on: () => undefined,
    writeHead: () => calls.push('head'),
    flushHeaders: () => undefined,
    write: () => calls.push('write'),
    end: () => calls.push('end'),
  } as unknown as ServerResponse;
  const answer = new AnswerEvents(generateBody(), 'fp');
  const stream = new EventStream(response, answer, { pingMs: 60_000, maxBufferedBytes: 1 }, () => undefined);
  const turn = () => new Promise<void>((resolve) => process.nextTick(resolve));
  stream.onText('a', [1], 1, undefined, 0);
  await turn();
  expect(calls).toEqual([]);
  stream.onEnd(
    { reason: 'stop', promptTokens: 1, completionTokens: 1 },
    { prompt_tokens: 1, completion_tokens: 1, reason: 'stop' },
    undefined,
  );
  await turn();
  expect(calls).toEqual([]);
  stream.open('request-1');
  await turn();
  expect(calls).toEqual(['head', 'end']);
});

test('chat without include_usage, and a role in Chinese', async () => {
  const { answer, generation, fp } = await start({ events: { role: '助手' } });
  generation.text('A', 9);
  generation.end('length');
  await answer.ended;

  const head = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"huozi","system_fingerprint":"${fp}","choices":`;
  // The last text and the end came from one step: one write.
  expect(answer.writes).toEqual([
    `id: 0\ndata: ${head}[{"index":0,"delta":{"role":"助手","content":""},"logprobs":null,"finish_reason":null}]}\n\n` +
      `id: 1\n: ids 9\ndata: ${head}[{"index":0,"delta":{"content":"A"},"logprobs":null,"finish_reason":null}]}\n\n` +
      `id: 1\ndata: ${head}[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}]}\n\n` +
      ': usage {"prompt_tokens":3,"completion_tokens":1,"reason":"length"}\ndata: [DONE]\n\n',
  ]);
});

test('completion', async () => {
  const { answer, generation, fp } = await start({
    events: { object: 'text_completion', id: 'cmpl-1', include_usage: true },
  });
  generation.text('A', 9);
  await answer.until('A');
  generation.end('stop');
  await answer.ended;

  const head = `{"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"huozi","system_fingerprint":"${fp}","choices":`;
  expect(answer.writes).toEqual([
    `id: 1\n: ids 9\ndata: ${head}[{"index":0,"text":"A","logprobs":null,"finish_reason":null}],"usage":null}\n\n`,
    `id: 1\ndata: ${head}[{"index":0,"text":"","logprobs":null,"finish_reason":"stop"}],"usage":null}\n\n` +
      `id: 1\ndata: ${head}[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}\n\n` +
      ': usage {"prompt_tokens":3,"completion_tokens":1,"reason":"stop"}\ndata: [DONE]\n\n',
  ]);
});

test('an answer of no text still has its role', async () => {
  const { answer, generation } = await start();
  generation.end('stop');
  await answer.ended;
  expect(answer.writes).toHaveLength(1);
  expect(answer.text).toMatch(
    /^id: 0\ndata: .*"role":"assistant".*\n\nid: 0\ndata: .*"finish_reason":"stop"/,
  );
});

test('tokens without text are told by their ids', async () => {
  const { answer, generation } = await start();
  generation.text('', 3);
  await answer.until('ids 3');
  generation.text('早', 4);
  generation.end('stop');
  await answer.ended;
  expect(answer.text).toContain('id: 1\n: ids 3\ndata: ');
  expect(answer.text).toContain('id: 2\n: ids 4\ndata: ');
});

test('ids without text at the end come with the finish event', async () => {
  const { answer, generation } = await start({ events: { include_usage: true } });
  generation.text('早', 4);
  generation.end('stop', undefined, [5, 2]);
  await answer.ended;
  expect(answer.text).toMatch(
    /\nid: 3\n: ids 5,2\ndata: .*"finish_reason":"stop".*\n\nid: 3\ndata: .*"completion_tokens":3/,
  );
  const told = [...answer.text.matchAll(/^: ids (.*)$/gm)].flatMap(([, ids]) => ids?.split(','));
  expect(told).toEqual(['4', '5', '2']);
});

test('a continued answer has no role event, and goes on counting', async () => {
  for (const continue_ids of [[], [4, 4]]) {
    const { answer, generation } = await start({ continue_ids });
    generation.text('早', 5);
    generation.end('stop', undefined, [2]);
    await answer.ended;
    expect(answer.text).not.toContain('"role"');
    expect(answer.text.startsWith(`id: ${continue_ids.length + 1}\n: ids 5\ndata: `)).toBe(true);
    expect(answer.text).toContain(
      `: usage {"prompt_tokens":3,"completion_tokens":${continue_ids.length + 2},`,
    );
  }
});

test('a deadline that passes is an error that says so, whether the answer had begun or not, streaming or not', async () => {
  for (const begun of [true, false]) {
    const { answer, generation } = await start({ deadline_ms: 50 });
    if (begun) {
      generation.text('半', 8);
      await answer.until('半');
    }
    generation.end('deadline');
    await answer.ended;
    expect(generation.request.deadlineMs).toBe(50);
    expect(answer.text).toContain(`"completion_tokens":${begun ? 1 : 0},"reason":"deadline"}`);
    expect(answer.text).toMatch(/data: \{"error":\{.*"code":"deadline_exceeded"\}\}\n\n$/);
    expect(answer.text).not.toContain('[DONE]');
  }
  const { url, engine } = await startTestNode();
  const arrival = engine.arrival();
  const response = send(url, '/v1/generate', generateBody({ events: { stream: false } }));
  (await arrival).end('deadline');
  const answer = (await response).read();
  expect(await answer.json()).toMatchObject({ error: { code: 'deadline_exceeded' } });
  expect(answer.status).toBe(504);
});

test('tells what was reused of the prompt, to the client and to the edge', async () => {
  const { answer, generation } = await start({ events: { include_usage: true }, tenant: 'a', priority: -3 });
  expect(generation.request).toMatchObject({ tenant: 'a', priority: -3 });
  generation.text('好', 8);
  generation.cachedTokens = 2;
  generation.end('stop');
  await answer.ended;
  expect(answer.text).toContain(
    '"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}',
  );
  expect(answer.text).toContain(
    ': usage {"prompt_tokens":3,"completion_tokens":1,"cached_tokens":2,"reason":"stop"}',
  );
});

test('an error after the start: usage and an error event, no finish_reason, no [DONE]', async () => {
  const { answer, generation, logged } = await start();
  generation.text('半', 8);
  await answer.until('半');
  generation.end('error', new Error('llama_decode gave -3'));
  await answer.ended;
  expect(answer.writes.at(-1)).toBe(
    ': usage {"prompt_tokens":3,"completion_tokens":1,"reason":"error"}\n' +
      'data: {"error":{"message":"The node failed to process the request.","type":"server_error","param":null,"code":"internal_error"}}\n\n',
  );
  expect(answer.text).not.toContain('"finish_reason":"');
  expect(answer.text).not.toContain('[DONE]');
  // Vague outside, rich inside.
  expect(logged().find(({ msg }) => msg === 'generation failed')).toMatchObject({
    request_id: 'req-7',
    trace_id: traceId,
    parent_id: '00f067aa0ba902b7',
    id: 'chatcmpl-1',
    completion_tokens: 1,
    err: { message: 'llama_decode gave -3' },
  });
});

test('an error before the first text has no role event either', async () => {
  const { answer, generation } = await start();
  generation.end('error', new Error('x'));
  await answer.ended;
  expect(answer.text).toMatch(/^: usage \{.*\}\ndata: \{"error":.*\}\n\n$/);
});

test('pings before the first token and between events, each a comment of its own', async () => {
  const { url, engine } = await startTestNode({ pingMs: 30 });
  const arrival = engine.arrival();
  const answer = (await send(url, '/v1/generate', generateBody())).read();
  const generation = await arrival;
  await answer.until(ping, 2);
  generation.text('A', 1);
  await answer.until('"content":"A"');
  await answer.until(ping, answer.count(ping) + 1);
  generation.end('stop');
  await answer.ended;
  expect(answer.text.replaceAll(ping, '')).toMatch(/^id: 0\n.*data: \[DONE\]\n\n$/s);
});

test('not streaming: one body, usage in a header', async () => {
  const { url, engine } = await startTestNode();
  for (const [object, choice] of [
    [
      'chat.completion',
      {
        index: 0,
        message: { role: '助手', content: '你好' },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    ['text_completion', { index: 0, text: '你好', logprobs: null, finish_reason: 'stop' }],
  ] as const) {
    const arrival = engine.arrival();
    const response = send(
      url,
      '/v1/generate',
      generateBody({ events: { object, role: '助手', stream: false } }),
    );
    const generation = await arrival;
    generation.text('你', 1);
    generation.text('好', 2);
    generation.end('stop');
    const answer = (await response).read();
    expect(await answer.json()).toEqual({
      id: 'chatcmpl-1',
      object,
      created: 1_700_000_000,
      model: 'huozi',
      system_fingerprint: systemFingerprint(engine.info),
      choices: [choice],
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
    });
    expect(answer.response.headers['content-type']).toBe('application/json');
    expect(answer.response.headers['x-request-id']).toMatch(/^[\w-]+$/);
    expect(JSON.parse(answer.response.headers['x-huozi-usage'] as string)).toEqual({
      prompt_tokens: 3,
      completion_tokens: 2,
      reason: 'stop',
    });
  }
});

test('not streaming: an error is a 500 that still carries usage', async () => {
  const { url, engine } = await startTestNode();
  const arrival = engine.arrival();
  const response = send(url, '/v1/generate', generateBody({ events: { stream: false } }));
  const generation = await arrival;
  generation.text('你', 1);
  generation.end('error', new Error('llama_decode gave -3'));
  const answer = (await response).read();
  expect(answer.status).toBe(500);
  expect(await answer.json()).toMatchObject({ error: { type: 'server_error', code: 'internal_error' } });
  expect(answer.text).not.toContain('llama_decode');
  expect(JSON.parse(answer.response.headers['x-huozi-usage'] as string)).toMatchObject({ reason: 'error' });
});

test('what the engine is asked for', async () => {
  const { generation } = await start({
    stop: ['。'],
    stop_token_ids: [57_001],
    ignore_eos: true,
    max_tokens: 20,
  });
  expect(generation.request).toMatchObject({
    promptIds: Int32Array.of(1, 7, 7),
    maxTokens: 20,
    stopIds: [57_001],
    stopStrings: ['。'],
    ignoreEos: true,
  });
});

test('max_tokens beyond the context, or absent, is what the context holds', async () => {
  for (const limit of [{}, { max_tokens: 5000 }]) {
    const { generation } = await start(limit);
    expect(generation.request.maxTokens).toBe(97);
  }
});

test('routed experts stand beside the tokens of their event, in a comment and in the chunk', async () => {
  const { answer, generation } = await start({ return_routed_experts: true });
  expect(generation.request.returnExperts).toBe(true);
  // [tokens][layers][experts used]: two tokens, two layers, two of eight.
  const experts = Uint8Array.of(0, 7, 3, 1, 2, 5, 6, 4);
  generation.detailed('你', [312, 447], { experts });
  await answer.until('你');
  generation.end('stop', undefined, [2], { experts: Uint8Array.of(1, 0, 0, 1) });
  await answer.ended;
  const told = Buffer.from(experts).toString('base64');
  expect(answer.writes[0]).toContain(`id: 2\n: ids 312,447\n: experts ${told}\ndata: {`);
  expect(answer.writes[0]).toContain(`"finish_reason":null}],"routed_experts":"${told}"}\n\n`);
  expect(answer.writes[1]).toContain('id: 3\n: ids 2\n: experts AQAAAQ==\ndata: {');
  expect(answer.writes[1]).toContain('"finish_reason":"stop"}],"routed_experts":"AQAAAQ=="}\n\n');
});

test('routed experts of a whole answer stand in its body', async () => {
  const { url, engine } = await startTestNode();
  const arrival = engine.arrival();
  const body = generateBody({ return_routed_experts: true, events: { stream: false } });
  const response = send(url, '/v1/generate', body);
  const generation = await arrival;
  generation.detailed('你', [312], { experts: Uint8Array.of(0, 7, 3, 1) });
  generation.end('stop', undefined, [2], { experts: Uint8Array.of(1, 0, 0, 1) });
  const completion = (await (await response).read().json()) as { routed_experts: string };
  expect(completion.routed_experts).toBe(Buffer.of(0, 7, 3, 1, 1, 0, 0, 1).toString('base64'));
});
