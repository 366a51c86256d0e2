/** The server around the real engine and huozi-tiny. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { loadEngine } from '../engine/engine.ts';
import type { Engine } from '../engine/types.ts';
import { nodeDefaults } from '../index.ts';
import type { ExpertTelemetry, NodeInfo, Segment } from '../protocol.ts';
import { createLog } from './log.ts';
import { type RunningNode, serveNode } from './node.ts';
import { type Answer, generateBody, send, token } from './testing/client.ts';

/** Decode steps so far, when each generation was cancelled and when it ended. */
const moments: { cancelledAt?: number; endedAt?: number }[] = [];

/** The same engine; only looks at the clock, which is its count of steps. */
function watched(engine: Engine): Engine {
  return {
    get info() {
      return engine.info;
    },
    get stats() {
      return engine.stats;
    },
    tokenize: (segments) => engine.tokenize(segments),
    generate(request, events) {
      const moment: (typeof moments)[number] = {};
      moments.push(moment);
      const generation = engine.generate(request, {
        onText: (...args) => events.onText(...args),
        onEnd(end) {
          moment.endedAt = engine.stats.steps;
          events.onEnd(end);
        },
      });
      return {
        cancel() {
          moment.cancelledAt ??= engine.stats.steps;
          generation.cancel();
        },
        get promptTokens() {
          return generation.promptTokens;
        },
        get completionTokens() {
          return generation.completionTokens;
        },
      };
    },
    expertTelemetry: () => engine.expertTelemetry(),
    close: () => engine.close(),
  };
}

let node: RunningNode;

beforeAll(async () => {
  const { modelPath } = nodeDefaults;
  const engine = { modelPath, slots: 4, contextTokens: 8192, batchTokens: 256, threads: 1 };
  node = await serveNode(async () => watched(await loadEngine(engine)), {
    token,
    host: '127.0.0.1',
    port: 0,
    name: 'huozi',
    log: createLog('silent'),
  });
});

afterAll(() => node?.close());

const prompt: Segment[] = [
  { control: 'bos' },
  { control: 'begin' },
  { text: '用户\n你好，请介绍一下你自己。' },
  { control: 'end' },
  { text: '\n' },
  { control: 'begin' },
  { text: '助手\n' },
];

let count = 0;
/**
 * Never ends by itself before `max_tokens`, and is hot enough that text keeps coming, whatever the model knows:
 * markers have none, and so no event of their own.
 */
const body = (max_tokens: number, events = {}) => {
  const overrides = { prompt, max_tokens, ignore_eos: true };
  const { sampling, ...rest } = generateBody({
    ...overrides,
    events: { id: `chatcmpl-${++count}`, ...events },
  });
  return { ...rest, sampling: { ...sampling, temperature: 2 } };
};

const info = async () => (await (await send(node.url, '/v1/node')).read().json()) as NodeInfo;

const idle = () =>
  vi.waitFor(async () => expect(await info()).toMatchObject({ active: 0, queued: 0, kv_used: 0 }));

interface Chunk {
  choices: { delta: { content?: string }; finish_reason: string | null }[];
}

function read(answer: Answer) {
  const events = answer.text.split('\n\n').map((event) => event.split('\n'));
  const told: { position: number; ids: number[] }[] = [];
  let text = '';
  let finish: string | undefined;
  for (const lines of events) {
    const field = (start: string) => lines.find((line) => line.startsWith(start))?.slice(start.length);
    const data = field('data: ');
    if (data === undefined || data === '[DONE]') continue;
    const [choice] = (JSON.parse(data) as Chunk).choices;
    text += choice?.delta.content ?? '';
    finish ??= choice?.finish_reason ?? undefined;
    told.push({ position: Number(field('id: ')), ids: field(': ids ')?.split(',').map(Number) ?? [] });
  }
  return { text, finish, told };
}

test('a stream carries the same answer as one body, with its ids and positions', async () => {
  const streamed = (await send(node.url, '/v1/generate', body(60))).read();
  await streamed.ended;
  const whole = (await send(node.url, '/v1/generate', body(60, { stream: false }))).read();
  const completion = (await whole.json()) as {
    choices: { message: { content: string } }[];
    usage: { completion_tokens: number };
  };
  const { text, finish, told } = read(streamed);
  expect(text).toBe(completion.choices[0]!.message.content);
  expect(text.length).toBeGreaterThan(0);
  expect(finish).toBe('length');
  expect(completion.usage.completion_tokens).toBe(60);
  let ids = 0;
  for (const event of told) {
    ids += event.ids.length;
    // An event's position counts the tokens up to it, and all of them have been told by then.
    if (event.ids.length > 0) expect(event.position).toBe(ids);
  }
  expect(ids).toBeGreaterThan(0);
  expect(told.at(-1)!.position).toBe(60);
  expect(streamed.text.endsWith('data: [DONE]\n\n')).toBe(true);
});

test('a killed client frees its sequence within one decode step, and nobody else notices', async () => {
  await idle();
  const staying = (await send(node.url, '/v1/generate', body(400))).read();
  const leaving = moments.length;
  // A process of its own, so that it can die like one: no goodbye but the kernel's.
  const script = `
    const http = require('node:http');
    const request = http.request(process.argv[1] + '/v1/generate', {
      method: 'POST', headers: { authorization: 'Bearer ' + process.argv[2] },
    }, (response) => response.pipe(process.stdout));
    request.end(process.argv[3]);`;
  const long = body(3000);
  const client = spawn(process.execPath, ['-e', script, node.url, token, JSON.stringify(long)]);
  let received = '';
  await new Promise<void>((resolve) => {
    client.stdout.on('data', (bytes: Buffer) => {
      received += bytes;
      if (received.split(': ids ').length > 5) resolve();
    });
  });
  client.kill('SIGKILL');

  await vi.waitFor(() => expect(moments[leaving]?.endedAt).toBeDefined(), { timeout: 10_000 });
  const { cancelledAt, endedAt } = moments[leaving]!;
  expect(cancelledAt).toBeDefined();
  expect(endedAt! - cancelledAt!).toBeLessThanOrEqual(1);

  await staying.ended;
  expect(read(staying).finish).toBe('length');
  expect(read(staying).told.at(-1)!.position).toBe(400);
  const removal = await send(node.url, `/v1/generate/${long.events.id}`, undefined, { method: 'DELETE' });
  const { usage } = (await removal.read().json()) as { usage: { completion_tokens: number; reason: string } };
  expect(usage.reason).toBe('cancelled');
  expect(usage.completion_tokens).toBeLessThan(3000);

  // Everything is given back, and the node has stopped working.
  await idle();
  const { steps } = await info();
  expect((await info()).steps).toBe(steps);
}, 60_000);

test('DELETE frees a running sequence within one decode step, and one that waits for a slot', async () => {
  await idle();
  const first = moments.length;
  const bodies = Array.from({ length: 5 }, () => body(1500));
  const answers: Answer[] = [];
  for (const each of bodies) answers.push((await send(node.url, '/v1/generate', each)).read());
  await answers[0]!.until(': ids ', 3);
  // 4 slots: the fifth waits.
  expect(await info()).toMatchObject({ active: 4, queued: 1 });
  for (const at of [4, 0]) {
    const path = `/v1/generate/${bodies[at]!.events.id}`;
    const removal = (await send(node.url, path, undefined, { method: 'DELETE' })).read();
    expect(await removal.json()).toMatchObject({ usage: { reason: 'cancelled' } });
    await answers[at]!.ended;
    expect(answers[at]!.text).toContain('"code":"generation_cancelled"');
    const { cancelledAt, endedAt } = moments[first + at]!;
    expect(endedAt! - cancelledAt!).toBeLessThanOrEqual(1);
  }
  for (const answer of answers) answer.leave();
  await idle();
}, 60_000);

test('text never becomes a control token, and a prompt too long names both numbers', async () => {
  const length = async (text: string) => {
    const request = generateBody({
      prompt: [{ control: 'bos' }, { text }],
      max_tokens: 1,
      events: { id: `chatcmpl-${++count}`, stream: false },
    });
    const answer = (await send(node.url, '/v1/generate', request)).read();
    return (await answer.json()) as {
      usage?: { prompt_tokens: number };
      error?: { code: string; message: string };
    };
  };
  // As control token it would be one; spelt out it is many.
  expect((await length('<|endofutterance|>')).usage!.prompt_tokens).toBeGreaterThan(3);
  const { error } = await length('好'.repeat(9000));
  expect(error).toMatchObject({ code: 'context_length_exceeded' });
  expect(error!.message).toContain(String(node.engine.info.maxSequence));
});

test('GET /v1/experts: the shape of protocol.ts, with the token only', async () => {
  const asking = (await send(node.url, '/v1/generate', { ...body(20), return_routed_experts: true })).read();
  await asking.ended;
  expect(asking.text).toContain('"routed_experts":"');
  const told = (await (await send(node.url, '/v1/experts')).read().json()) as ExpertTelemetry;
  const { layers, experts, expertsUsed } = node.engine.info;
  expect(told).toMatchObject({ mode: 'sampled', experts, experts_used: expertsUsed });
  expect(told.steps_sampled).toBeGreaterThan(0);
  expect(told.layers.length).toBe(layers);
  for (const { counts, co_activation } of told.layers) {
    expect([counts.length, co_activation.length]).toEqual([experts, experts]);
  }
  const refused = await send(node.url, '/v1/experts', undefined, { headers: { authorization: 'Bearer no' } });
  expect(refused.read().status).toBe(401);
});

test('usage tells what of a prompt was there already, and nothing to another tenant', async () => {
  const text = '请把这段话记下来：白日依山尽，黄河入海流。';
  const used = [];
  for (const [id, tenant] of [
    ['first', 'a'],
    ['again', 'a'],
    ['stranger', 'b'],
  ] as const) {
    const events = { id: `reuse-${id}`, stream: false };
    const segments: Segment[] = [{ control: 'bos' }, { text }];
    const body = generateBody({ prompt: segments, tenant, max_tokens: 4, events });
    const answer = (await send(node.url, '/v1/generate', body)).read();
    const { usage } = (await answer.json()) as {
      usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
    };
    expect(JSON.parse(answer.response.headers['x-huozi-usage'] as string)).toMatchObject({
      prompt_tokens: usage.prompt_tokens,
      cached_tokens: usage.prompt_tokens_details.cached_tokens,
    });
    used.push(usage.prompt_tokens - usage.prompt_tokens_details.cached_tokens);
  }
  // The last token of a prompt is always evaluated.
  expect(used).toEqual([used[2], 1, used[0]]);
  expect(used[0]).toBeGreaterThan(10);
});
