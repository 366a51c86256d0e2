/** The worker in real workerd, before nodes that do what a test says. */
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { createKey } from '../../src/dev/dev-key.ts';
import { startWorker, type WorkerHost } from '../../src/dev/worker-host.ts';
import type { OwnUsageBody } from '../../src/usage/own-usage.ts';
import type { ReportRow } from '../../src/usage/usage-row.ts';
import { answer, ScriptedNode } from './scripted-node.ts';

export interface Edge {
  url: string;
  apiKey: string;
  keyId: string;
  /** Lines that the worker printed. */
  log: string[];
  /** The usage lines of one answer; waits for the first. */
  metered(id: string): Promise<Record<string, unknown>[]>;
  post(body: object | string, init?: { path?: string; headers?: Record<string, string> }): Promise<Response>;
  /** With the admin's token; the body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body is what it checks
  admin(method: string, path: string, body?: object): Promise<{ status: number; body: any }>;
  /** A key of its own for a test. */
  newKey(settings?: object): Promise<TestKey>;
  /** A request on a connection of its own, to be left in every way there is. */
  raw(body: object): Socket;
  worker: WorkerHost;
  stop(): Promise<void>;
}

export interface TestKey {
  id: string;
  key: string;
  /** Asks for an answer with it. */
  post(fields?: object): Promise<Response>;
  get(path: string): Promise<Response>;
  usage(query?: string): Promise<ReportRow[]>;
}

const keySecret = 'a secret for tests of the edge';
export const adminToken = 'an-admin-token-for-tests-of-the-edge';

/**
 * For a test file: the worker before one node, which answers 好 unless a test says otherwise. Both are there from the
 * first test on, and not before.
 */
export function edgeBeforeNode(bindings: Record<string, string> = {}): { node: ScriptedNode; edge: Edge } {
  const node = new ScriptedNode();
  const edge = {} as Edge;
  beforeAll(async () => {
    await node.start();
    Object.assign(edge, await startEdge([node], undefined, { bindings }));
  });
  afterAll(async () => {
    await edge.stop?.();
    await node.stop();
  });
  beforeEach(() => {
    node.script = answer('好');
  });
  return { node, edge };
}

/** @param urls of nodes; those of `nodes` by default */
export async function startEdge(
  nodes: readonly ScriptedNode[],
  urls = nodes.map((node) => node.url),
  {
    stateDirectory,
    bindings,
    inspected = false,
  }: { stateDirectory?: string; bindings?: Record<string, string>; inspected?: boolean } = {},
): Promise<Edge> {
  const log: string[] = [];
  const worker = await startWorker({
    port: 0,
    bindings: {
      NODE_URLS: urls.join(','),
      NODE_TOKEN: nodes[0]!.token,
      KEY_SECRET: keySecret,
      ADMIN_TOKEN: adminToken,
      // A scripted node would go on with the same script.
      MIGRATION_SECONDS: '0',
      // It shares its process with a test's requests: amid a thousand of them, on a busy machine, it takes its time.
      ACCEPT_SECONDS: '20',
      ...bindings,
    },
    onLog: (line) => log.push(line),
    inspected,
    ...(stateDirectory && { stateDirectory }),
  });
  const { id: keyId, key: apiKey } = await createKey(worker.url, adminToken, { name: 'test' });
  const authorization = `Bearer ${apiKey}`;
  const admin: Edge['admin'] = async (method, path, body) => {
    const response = await fetch(`${worker.url}/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${adminToken}` },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };
  return {
    admin,
    async newKey(settings = {}) {
      const { id, key } = await createKey(worker.url, adminToken, { name: 'limited', ...settings });
      return keyOf(worker.url, id, key);
    },
    url: worker.url,
    apiKey,
    keyId,
    log,
    metered: (id) =>
      until(() => {
        const lines = log.filter((line) => line.includes('"event":"usage"') && line.includes(id));
        return lines.length > 0 && lines.map((line) => JSON.parse(line));
      }),
    post: (body, { path = '/v1/chat/completions', headers = {} } = {}) =>
      fetch(worker.url + path, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    raw: (body) => {
      const bytes = Buffer.from(JSON.stringify(body));
      const socket = connect(Number(new URL(worker.url).port), '127.0.0.1');
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: edge\r\nauthorization: ${authorization}\r\ncontent-length: ${bytes.length}\r\n\r\n`,
      );
      socket.write(bytes);
      return socket.on('error', () => undefined);
    },
    worker,
    stop: () => worker.stop(),
  };
}

export function keyOf(url: string, id: string, key: string): TestKey {
  const headers = { authorization: `Bearer ${key}` };
  const get = (path: string) => fetch(url + path, { headers });
  return {
    id,
    key,
    post: (fields) =>
      fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(chat(fields)) }),
    get,
    usage: async (query = '') => ((await (await get(`/v1/usage${query}`)).json()) as OwnUsageBody).data,
  };
}

export function chat(fields: object = {}) {
  return { model: 'huozi', messages: [{ role: 'user', content: '你好' }], ...fields };
}

/** What the body says went wrong, beside the status. It must have OpenAI's shape and nothing else. */
export async function errorOf(response: Response): Promise<{ status: number; [field: string]: unknown }> {
  const body = (await response.json()) as { error: Record<string, unknown> };
  expect(Object.keys(body)).toEqual(['error']);
  expect(Object.keys(body.error).toSorted()).toEqual(['code', 'message', 'param', 'type']);
  expect(response.headers.get('x-request-id')).toMatch(/^[\w-]{1,64}$/);
  return { status: response.status, ...body.error };
}

/** What a client reads, without the probes that came in between. */
export function withoutPings(stream: string): string {
  return stream.replaceAll(/: ping *\n\n/g, '');
}

/** Looks again until `look` gives something; the test's own time limit is what ends it otherwise. */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  for (;;) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
