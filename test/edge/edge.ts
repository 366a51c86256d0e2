/** The worker in real workerd, before nodes that do what a test says. */
import { connect, type Socket } from 'node:net';
import { createKey } from '../../src/dev/dev-key.ts';
import { startWorker } from '../../src/dev/worker-host.ts';
import type { ScriptedNode } from './scripted-node.ts';

export interface Edge {
  url: string;
  apiKey: string;
  keyId: string;
  /** Lines that the worker printed. */
  log: string[];
  /** The usage lines of one answer; waits for the first. */
  metered(id: string): Promise<Record<string, unknown>[]>;
  post(body: object | string, init?: { path?: string; headers?: Record<string, string> }): Promise<Response>;
  /** A request on a connection of its own, to be left in every way there is. */
  raw(body: object): Socket;
  stop(): Promise<void>;
}

const keySecret = 'a secret for tests of the edge';
export const adminToken = 'an-admin-token-for-tests-of-the-edge';

/** @param urls of nodes; those of `nodes` by default */
export async function startEdge(
  nodes: readonly ScriptedNode[],
  urls = nodes.map((node) => node.url),
): Promise<Edge> {
  const log: string[] = [];
  const worker = await startWorker({
    port: 0,
    bindings: {
      NODE_URLS: urls.join(','),
      NODE_TOKEN: nodes[0]!.token,
      KEY_SECRET: keySecret,
      ADMIN_TOKEN: adminToken,
    },
    onLog: (line) => log.push(line),
  });
  const { id: keyId, key: apiKey } = await createKey(worker.url, adminToken, { name: 'test' });
  const authorization = `Bearer ${apiKey}`;
  return {
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
    stop: () => worker.stop(),
  };
}

export function chat(fields: object = {}) {
  return { model: 'huozi', messages: [{ role: 'user', content: '你好' }], ...fields };
}

/** What a client reads, without the probes that came in between. */
export function withoutPings(stream: string): string {
  return stream.replaceAll(': ping\n\n', '');
}

/** Looks again until `look` gives something; the test's own time limit is what ends it otherwise. */
export async function until<T>(look: () => T | undefined | false): Promise<T> {
  for (;;) {
    const found = look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
