/** A server that does on the wire what servers, proxies and networks do to streams; one behaviour a server. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Exchange {
  /** 1 for the first request. */
  tryCount: number;
  /** `POST /v1/chat/completions` */
  request: string;
  headers: IncomingHttpHeaders;
  body: string;
  response: ServerResponse;
  /** Answers 200 with an event stream. */
  begin(headers?: Record<string, string>): void;
  /** Writes, and lets the bytes leave before it resolves. */
  write(bytes: string | Uint8Array): Promise<void>;
  /** One `data:` event. */
  event(data: unknown): Promise<void>;
}

export type Behaviour = (exchange: Exchange) => void | Promise<void>;

export interface Try {
  request: string;
  headers: IncomingHttpHeaders;
  body: string;
  /** Resolves when the connection of this try is closed before the answer's end. */
  left: Promise<void>;
}

export interface HostileServer {
  baseURL: string;
  tries: Try[];
  connections: number;
  /** Resolves when it has had so many requests. */
  tried(count: number): Promise<void>;
  close(): Promise<void>;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

export async function hostileServer(behave: Behaviour): Promise<HostileServer> {
  const tries: Try[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  let connections = 0;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const left = new Promise<void>((resolve) => {
      response.once('close', () => response.writableFinished || resolve());
    });
    let body = '';
    for await (const piece of request) body += piece;
    const what = `${request.method} ${request.url}`;
    const tryCount = tries.push({ request: what, headers: request.headers, body, left });
    for (const { count, resolve } of waiting) if (tryCount >= count) resolve();
    response.socket?.setNoDelay(true);
    const write = async (bytes: string | Uint8Array) => {
      response.write(bytes);
      await turn();
    };
    await behave({
      tryCount,
      request: what,
      headers: request.headers,
      body,
      response,
      begin: (headers) => {
        const own = { 'content-type': 'text/event-stream', 'x-request-id': `try-${tryCount}` };
        response.writeHead(200, { ...own, ...headers });
        response.flushHeaders();
      },
      write,
      event: (data) => write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`),
    });
  }

  const server = createServer((request, response) => void answer(request, response).catch(() => {}));
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    tries,
    get connections() {
      return connections;
    },
    tried: (count) =>
      tries.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => void waiting.push({ count, resolve })),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
