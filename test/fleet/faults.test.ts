/**
 * The network between the real edge and real nodes breaks in every way of faults.ts. Each time the answer is whole and
 * as if nothing had happened, or it ends in an error that says what a client may do; and none hangs.
 *
 * All of them run at once, as far as the nodes' slots go: most only wait for a deadline. The tests tell their outcomes.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey } from '../../src/dev/dev-key.ts';
import { type NodeProcess, startNode } from '../../src/dev/node-process.ts';
import { startWorker, type WorkerHost } from '../../src/dev/worker-host.ts';
import { type Fault, FaultProxy } from './fault-proxy.ts';
import { amidBody, beforeHeaders, internalError, longHeaders, slow } from './faults.ts';

/** Far beyond the sum of all deadlines: an answer that takes so long hangs. */
const hangsMs = 45_000;
const width = 24;

interface Told {
  status: number;
  headers: Headers;
  text: string;
  finish: string[];
  usage: { prompt_tokens: number; completion_tokens: number } | undefined;
  /** How often that was told. */
  usages: number;
  error: { code: string; type: string; message: string; param: null } | undefined;
  done: boolean;
  migrations: number;
}

type Answered = Told & { id: string };

let nodes: NodeProcess[] = [];
let proxies: FaultProxy[] = [];
let worker: WorkerHost;
let apiKey: string;
const edgeLog: string[] = [];
/** By request id: the faults of its generations, one after another; the last one stays. */
const plans = new Map<string, (Fault | undefined)[]>();
/** By request id: how many nodes were asked. */
const asked = new Map<string, number>();

function nextFault(requestId: string): Fault | undefined {
  asked.set(requestId, (asked.get(requestId) ?? 0) + 1);
  const plan = plans.get(requestId);
  return plan && plan.length > 1 ? plan.shift() : plan?.[0];
}

beforeAll(async () => {
  const nodeToken = randomBytes(16).toString('hex');
  const adminToken = randomBytes(16).toString('hex');
  const started = await Promise.all(
    [0, 1].map(async () => {
      const node = await startNode(nodeToken, ['--threads', '1', '--slots', String(width)]);
      const plan = ({ headers }: { headers: NodeJS.Dict<string | string[]> }) =>
        nextFault(String(headers['x-request-id']));
      return { node, proxy: await new FaultProxy(node.url, plan).start() };
    }),
  );
  nodes = started.map(({ node }) => node);
  proxies = started.map(({ proxy }) => proxy);
  worker = await startWorker({
    port: 0,
    bindings: {
      NODE_URLS: proxies.map(({ url }) => url).join(','),
      NODE_TOKEN: nodeToken,
      KEY_SECRET: randomBytes(16).toString('hex'),
      ADMIN_TOKEN: adminToken,
      ACCEPT_SECONDS: '2',
      SILENCE_SECONDS: '2',
      MIGRATION_SECONDS: '3',
    },
    onLog: (line) => edgeLog.push(line),
  });
  ({ key: apiKey } = await createKey(worker.url, adminToken, { name: 'faults' }));
});
afterAll(async () => {
  await worker?.stop();
  await Promise.all([...proxies, ...nodes].map((one) => one.stop()));
});

let running = 0;
const waiting: (() => void)[] = [];

function post(id: string, path: string, body: object): Promise<Response> {
  return fetch(worker.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', 'x-request-id': id },
    body: JSON.stringify({ model: 'huozi', temperature: 0, ...body }),
    signal: AbortSignal.timeout(hangsMs),
  });
}

/** Asks with a plan, when there is room. */
async function ask(stream: boolean, ...plan: (Fault | undefined)[]): Promise<Answered> {
  if (running === width) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  const id = `fault-${randomBytes(8).toString('hex')}`;
  plans.set(id, plan);
  try {
    const response = await post(id, '/v1/chat/completions', {
      messages: [{ role: 'user', content: '背诵《静夜思》' }],
      stream,
      ...(stream && { stream_options: { include_usage: true } }),
    });
    const body = await response.text();
    return { id, ...(stream && response.ok ? readStream(response, body) : readWhole(response, body)) };
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

/** Every event must be JSON, or this throws. */
function readStream({ status, headers }: Response, body: string): Told {
  const told: Told = {
    status,
    headers,
    text: '',
    finish: [],
    usage: undefined,
    usages: 0,
    error: undefined,
    done: body.endsWith('data: [DONE]\n\n'),
    migrations: body.split(': migrated\n\n').length - 1,
  };
  for (const line of body.split('\n')) {
    if (line === 'data: [DONE]' || line === '' || line.startsWith(': ') || line.startsWith('id: ')) continue;
    expect(line).toMatch(/^data: /);
    const chunk = JSON.parse(line.slice('data: '.length));
    told.error ??= chunk.error;
    if (chunk.usage) told.usages++;
    told.usage = chunk.usage ?? told.usage;
    told.text += chunk.choices?.[0]?.delta.content ?? '';
    const finish = chunk.choices?.[0]?.finish_reason;
    if (finish) told.finish.push(finish);
  }
  return told;
}

function readWhole({ status, headers }: Response, body: string): Told {
  const { choices, usage, error } = JSON.parse(body);
  const [choice] = choices ?? [];
  return {
    status,
    headers,
    text: choice?.message.content ?? '',
    finish: choice ? [choice.finish_reason] : [],
    usage,
    usages: usage ? 1 : 0,
    error,
    done: choice !== undefined,
    migrations: 0,
  };
}

const gone: Fault = { instead: beforeHeaders['resets the connection']!.fault };

/** Without any fault. */
let calm: Answered;
const outcomes = new Map<string, Promise<Answered>>();
const outcome = (stream: boolean, name: string) => outcomes.get(`${stream} ${name}`)!;
beforeAll(async () => {
  calm = await ask(true);
  for (const stream of [true, false]) {
    const start = (name: string, ...plan: (Fault | undefined)[]) => {
      const told = ask(stream, ...plan);
      told.catch(() => undefined);
      outcomes.set(`${stream} ${name}`, told);
    };
    for (const [name, { fault }] of Object.entries(beforeHeaders)) {
      start(`headers: ${name}`, { instead: fault }, undefined);
      start(`headers, alone: ${name}`, { instead: fault });
    }
    for (const [name, happens] of Object.entries(amidBody)) {
      for (const after of [0, 6]) {
        start(`${after}: ${name}`, { after, happens }, undefined);
        start(`${after}, alone: ${name}`, { after, happens }, gone);
      }
    }
    for (const [name, fault] of Object.entries(slow)) start(`slow: ${name}`, fault);
  }
});

it('the answer without any fault', () => {
  expect(calm).toMatchObject({ status: 200, finish: ['stop'], done: true, migrations: 0 });
  expect(calm.text).toContain('床前明月光');
});

describe.each([true, false])('stream: %s', (stream) => {
  function isAsIfNothingHadHappened(told: Told): void {
    const { text, usage, finish } = calm;
    expect(told.error).toBeUndefined();
    expect(told).toMatchObject({ status: 200, text, finish, done: true });
    expect(told.usage).toMatchObject({
      prompt_tokens: usage!.prompt_tokens,
      completion_tokens: usage!.completion_tokens,
    });
  }

  it.each(Object.keys(slow))('a node that %s is not left', async (name) => {
    const told = await outcome(stream, `slow: ${name}`);
    isAsIfNothingHadHappened(told);
  });

  describe.each(Object.entries(beforeHeaders))('a node that %s', (name, { alone }) => {
    it('is passed by for another', async () => {
      const told = await outcome(stream, `headers: ${name}`);
      isAsIfNothingHadHappened(told);
      expect(asked.get(told.id)).toBeGreaterThan(1);
    });

    it('alone is an error with a status', async () => {
      const [status, code] = alone;
      const told = await outcome(stream, `headers, alone: ${name}`);
      expect(told).toMatchObject({ status, error: { code, param: null }, text: '', done: false });
      const retryAfter = told.headers.get('retry-after');
      if (status === 502) expect(told.headers.get('x-should-retry')).toBe('false');
      else expect(Number(retryAfter)).toBeGreaterThan(0);
    });
  });

  describe.each(Object.keys(amidBody))('a node that %s', (name) => {
    it.each([
      ['before its first event', 0],
      ['amid an answer', 6],
    ])('%s is replaced by another', async (_when, after) => {
      const told = await outcome(stream, `${after}: ${name}`);
      isAsIfNothingHadHappened(told);
      expect(asked.get(told.id)).toBeGreaterThan(1);
      if (stream) expect(told.migrations).toBeGreaterThanOrEqual(after === 0 ? 0 : 1);
    });

    it.each([
      ['before its first event', 0],
      ['amid an answer', 6],
    ])('%s, and nobody else: an error, and nothing that is not the answer', async (_when, after) => {
      const told = await outcome(stream, `${after}, alone: ${name}`);
      expect(told.error).toMatchObject({ type: 'server_error', param: null });
      expect(told.error!.code).toMatch(/^(node_lost|upstream_error)$/);
      expect(told).toMatchObject({ finish: [], done: false });
      const { text } = calm;
      expect(text.startsWith(told.text)).toBe(true);
      expect(told.text === '').toBe(!stream || after === 0);
      // Where nothing had been shown in time the error still has its status.
      expect([200, 502]).toContain(told.status);
    });
  });
});

describe('a node that is lost with its answer’s end', () => {
  const ends: [string, Fault][] = [
    [
      'after its finish',
      { after: '"finish_reason":"', happens: ({ socket }) => void socket.resetAndDestroy() },
    ],
    ['after its usage', { after: '"usage":{', happens: ({ socket }) => void socket.resetAndDestroy() }],
    ['after [DONE], and never closes', { after: 'data: [DONE]', happens: () => undefined }],
  ];
  it.each(ends)('%s: the answer ends once', async (_name, fault) => {
    const told = await ask(true, fault, undefined);
    expect(told.error).toBeUndefined();
    expect([told.text, told.finish, told.done]).toEqual([calm.text, ['stop'], true]);
    expect(told.usages).toEqual(1);
    expect(told.usage!.completion_tokens).toBe(calm.usage!.completion_tokens);
  });
});

it('nodes that all die after a few tokens tell the whole answer between them', async () => {
  const told = await ask(true, { after: 5, happens: ({ socket }) => void socket.resetAndDestroy() });
  expect(told.error).toBeUndefined();
  expect(told.text).toBe(calm.text);
  expect(told.migrations).toBeGreaterThan(2);
  expect(told.usage!.completion_tokens).toBe(calm.usage!.completion_tokens);
  // What is charged is the whole answer, once, as the client was told.
  const [line] = (await usageLines(plans.size)).filter(({ request_id }) => request_id === told.id);
  expect(line).toMatchObject({
    prompt_tokens: calm.usage!.prompt_tokens,
    completion_tokens: calm.usage!.completion_tokens,
    migrations: told.migrations,
  });
});

it('an echoed prompt is told once, whenever its node is lost', async () => {
  const complete = async (...plan: (Fault | undefined)[]) => {
    const id = `fault-${randomBytes(8).toString('hex')}`;
    plans.set(id, plan);
    const body = { prompt: '从一数到十：一、二、', echo: true, stream: true, max_tokens: 6 };
    const text = await (await post(id, '/v1/completions', body)).text();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    return [...text.matchAll(/"text":("[^"]*")/g)].map(([, json]) => JSON.parse(json!)).join('');
  };
  const whole = await complete();
  expect(whole).toMatch(/^从一数到十：一、二、./);
  for (const after of [0, 1, 3]) {
    const reset: Fault = { after, happens: ({ socket }) => void socket.resetAndDestroy() };
    expect(await complete(reset, undefined)).toBe(whole);
  }
});

it('several choices begin anew where they come in one piece, and else end in an error', async () => {
  const choices = async (stream: boolean, ...plan: (Fault | undefined)[]) => {
    const id = `fault-${randomBytes(8).toString('hex')}`;
    plans.set(id, plan);
    const messages = [{ role: 'user', content: '背诵《静夜思》' }];
    const fields = { messages, n: 2, temperature: 0.8, seed: 3, stream };
    return (await post(id, '/v1/chat/completions', fields)).text();
  };
  const reset: Fault = { after: 6, happens: ({ socket }) => void socket.resetAndDestroy() };
  const [whole, disturbed] = [await choices(false), await choices(false, reset, undefined)];
  expect(JSON.parse(disturbed).choices).toEqual(JSON.parse(whole).choices);
  expect(await choices(true, reset, undefined)).toMatch(/"code":"node_lost"\}\}\n\n$/);
});

it.each([true, false])(
  'an error of the node’s own is not carried to another (stream: %s)',
  async (stream) => {
    const told = await ask(stream, { instead: internalError }, undefined);
    expect(told).toMatchObject({ status: 502, error: { code: 'upstream_error' } });
    expect(asked.get(told.id)).toBe(1);
  },
);

it.each([64, 4096])('a node that sends %i KiB of headers is replaced', async (kib) => {
  const told = await ask(true, { instead: longHeaders(kib) }, undefined);
  expect(told.error).toBeUndefined();
  expect(told.text).toBe(calm.text);
  expect(asked.get(told.id)).toBe(2);
});

it('a machine that is gone, and does not even say what was used, holds nobody up', async () => {
  const silent: Fault = { after: 6, happens: () => undefined, mute: true };
  const [replaced, alone] = await Promise.all([ask(true, silent, undefined), ask(true, silent, gone)]);
  expect(replaced.text).toBe(calm.text);
  expect(alone.error!.code).toBe('node_lost');
});

it('every answer was counted once', async () => {
  const ids = (await usageLines(plans.size)).map(({ request_id }) => request_id);
  expect(ids.toSorted()).toEqual([...plans.keys()].toSorted());
});

/** Waits: some are counted a while after their end, because a node that does not say what was used has time to. */
async function usageLines(count: number): Promise<Record<string, unknown>[]> {
  for (;;) {
    const lines = edgeLog.filter((line) => line.includes('"event":"usage"'));
    if (lines.length >= count) return lines.map((line) => JSON.parse(line));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
