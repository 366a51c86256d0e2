import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { UpstreamMalformedError, UpstreamStatusError, UpstreamUnreachableError } from './errors.ts';
import { UpstreamHttp } from './http.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(listener: RequestListener): Promise<{ http: UpstreamHttp; server: Server }> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const http = new UpstreamHttp({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: 'k',
  });
  closers.push(() => http.close());
  return { http, server };
}

async function read(http: UpstreamHttp, signal = new AbortController().signal) {
  const told: unknown[] = [];
  let opened = false;
  const done = http.events(
    '/v1/completions',
    { stream: true },
    signal,
    () => {
      opened = true;
    },
    (data) => told.push(data),
  );
  const error = await done.then(
    () => undefined,
    (thrown: Error) => thrown,
  );
  return { told, opened, error };
}

it('reads events until [DONE], with a bearer token, torn anywhere', async () => {
  const body = Buffer.from('data: {"text":"你"}\n\n: ping\n\ndata: {"text":"好"}\r\n\r\ndata: [DONE]\n\n');
  const { http } = await serve((request, response) => {
    expect(request.headers.authorization).toBe('Bearer k');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const byte of body) response.write(Buffer.of(byte));
    response.end();
  });
  const { told, opened, error } = await read(http);
  expect(error).toBeUndefined();
  expect(opened).toBe(true);
  expect(told).toEqual([{ text: '你' }, { text: '好' }]);
});

it('an end without [DONE], and a connection that dies, are told from an end', async () => {
  const { http } = await serve((_, response) => response.end('data: {"text":"a"}\n\n'));
  const cleanEnd = await read(http);
  expect(cleanEnd.told).toEqual([{ text: 'a' }]);
  expect(cleanEnd.error).toBeInstanceOf(UpstreamUnreachableError);

  const dying = await serve((_, response) => {
    response.write('data: {"text":"a"}\n\n', () => response.destroy());
  });
  expect((await read(dying.http)).error).toBeInstanceOf(UpstreamUnreachableError);
});

it('a status that is no success carries its message and when to ask again', async () => {
  const { http } = await serve((_, response) => {
    response.writeHead(429, { 'retry-after': '3' });
    response.end(JSON.stringify({ error: { message: 'full' } }));
  });
  const { error, opened } = await read(http);
  expect(opened).toBe(false);
  expect(error).toBeInstanceOf(UpstreamStatusError);
  expect(error).toMatchObject({ status: 429, retryAfterMs: 3000, message: 'the engine answered 429: full' });
});

it('an event that is no JSON is a typed error', async () => {
  const { http } = await serve((_, response) => response.end('data: {"text"\n\ndata: [DONE]\n\n'));
  expect((await read(http)).error).toBeInstanceOf(UpstreamMalformedError);
});

it('aborting closes the connection', async () => {
  const controller = new AbortController();
  const { http, server } = await serve((_, response) => {
    response.write('data: {"text":"a"}\n\n');
    setImmediate(() => controller.abort());
  });
  const closed = new Promise((resolve) =>
    server.once('connection', (socket) => socket.once('close', resolve)),
  );
  expect((await read(http, controller.signal)).error).toBeInstanceOf(UpstreamUnreachableError);
  await closed;
});

it('nobody listening is unreachable', async () => {
  const { http, server } = await serve(() => undefined);
  server.close();
  await once(server, 'close');
  await expect(http.json('/v1/models')).rejects.toBeInstanceOf(UpstreamUnreachableError);
});

it('speaks over a Unix socket', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'huozi-upstream-'));
  closers.push(() => rmSync(directory, { recursive: true }));
  const socketPath = join(directory, 's');
  const server = createServer((_, response) => response.end('{"data":[]}'));
  server.listen(socketPath);
  await once(server, 'listening');
  closers.push(() => server.close());
  const http = new UpstreamHttp({ url: 'http://localhost', socketPath });
  closers.push(() => http.close());
  expect(await http.json('/v1/models')).toEqual({ data: [] });
});
