/** Requests that nobody should send, 2,400 of them: each is refused in OpenAI's shape, and the node goes on serving. */
import { connect } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { generateBody, send, token } from './testing/client.ts';
import { startTestNode } from './testing/start.ts';

async function expectGoodAnswer({ url, engine }: Awaited<ReturnType<typeof startTestNode>>): Promise<void> {
  const arrival = engine.arrival();
  const answer = (await send(url, '/v1/generate', generateBody())).read();
  (await arrival).end('stop');
  await answer.ended;
  expect(answer.text).toContain('[DONE]');
}

/** What is wrong in the body of `POST /v1/generate`: some field, some value, somewhere. */
const fields = [
  'prompt',
  'sampling',
  'max_tokens',
  'stop',
  'stop_token_ids',
  'ignore_eos',
  'events',
  'n',
  'format',
];
const strange = fc.oneof(
  fc.constantFrom(
    null,
    -1,
    1e308,
    -0.5,
    2 ** 53,
    '',
    '\u0000',
    '\ud800',
    [],
    {},
    [[]],
    [null],
    'x'.repeat(5000),
  ),
  fc.anything({ maxDepth: 3, withNullPrototype: false }),
);
const wrongField = fc.tuple(fc.constantFrom(...fields), strange).map(([field, value]) => {
  return JSON.stringify({ ...generateBody(), [field]: value === undefined ? null : value }, (_, inner) =>
    typeof inner === 'bigint' ? String(inner) : inner,
  );
});
const wrongKey = fc
  .constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'Prompt', '')
  .map((key) => `${JSON.stringify(generateBody()).slice(0, -1)},${JSON.stringify(key)}:{"x":1}}`);
const deep = fc.integer({ min: 100, max: 50_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth));
const torn = fc.nat(400).map((at) => JSON.stringify(generateBody()).slice(0, at));
const noise = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const body = fc.oneof({ weight: 5, arbitrary: wrongField }, wrongKey, deep, torn, noise);

test('2,000 bodies: a 4xx in OpenAI’s shape, or an answer where the fuzz was harmless', async () => {
  const node = await startTestNode();
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(body, async (text) => {
      const answer = (await send(node.url, '/v1/generate', text)).read();
      if (answer.status === 200) {
        for (const generation of [...node.engine.running]) generation.end('stop');
        return;
      }
      const { error } = (await answer.json()) as { error: { message: string; type: string } };
      expect([400, 413]).toContain(answer.status);
      expect(error).toMatchObject({ message: expect.any(String), type: 'invalid_request_error' });
      refused++;
    }),
    { numRuns: 2000, seed: 35 },
  );
  expect(refused).toBeGreaterThan(1500);
  await expectGoodAnswer(node);
}, 60_000);

const authorization = `authorization: Bearer ${token}`;
const post = (...headers: string[]) =>
  ['POST /v1/generate HTTP/1.1', 'host: a', authorization, ...headers].join('\r\n');
const word = fc.string({ minLength: 1, maxLength: 40 });
const brokenHttp = fc.oneof(
  word.map((text) => `${text}\r\n\r\n`),
  word.map((text) => `GET ${text} HTTP/1.1\r\nhost: a\r\n\r\n`),
  word.map((text) => `GET / HTTP/1.1\r\nhost: ${text}\r\nconnection: close\r\n\r\n`),
  word.map((text) => `${post('transfer-encoding: chunked')}\r\n\r\n${text}\r\n\r\n`),
  word.map((text) => `${post(`content-length: ${text}`)}\r\n\r\n`),
  fc
    .constantFrom('TRACE', 'CONNECT', 'PUT', 'OPTIONS', 'get', 'PRI')
    .map((method) => `${method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`),
  fc.integer({ min: 17_000, max: 60_000 }).map((size) => `${post(`x: ${'y'.repeat(size)}`)}\r\n\r\n`),
  fc
    .integer({ min: 101, max: 900 })
    .map((count) => `${post(...Array.from({ length: count }, (_, i) => `x${i}: y`))}\r\n\r\n`),
  fc.constantFrom(
    'GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/9.9\r\nhost: a\r\n\r\n',
    `${post('expect: tea', 'connection: close')}\r\n\r\n`,
  ),
  fc.constant(`${post('content-length: 5', 'transfer-encoding: chunked')}\r\n\r\n0\r\n\r\n`),
);

/** Sends and half closes. @returns what came back before the connection closed */
function exchange(url: string, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    let received = '';
    const socket = connect({ port: Number(port), host: hostname }, () => socket.end(bytes, 'latin1'));
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
  });
}

test('400 connections that are no HTTP, or break off: refused or closed, never a 5xx', async () => {
  const node = await startTestNode();
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(brokenHttp, async (bytes) => {
      const answer = await exchange(node.url, bytes);
      if (answer === '') return;
      answered++;
      expect(answer, JSON.stringify(bytes.slice(0, 200))).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(answer).toMatch(/\{"error":\{"message":".*","type":"invalid_request_error"/);
    }),
    { numRuns: 400, seed: 35 },
  );
  expect(answered).toBeGreaterThan(200);
  await expectGoodAnswer(node);
}, 60_000);

test('a client that drips its request is closed', async () => {
  const { url } = await startTestNode({ requestTimeoutMs: 200 });
  const { hostname, port } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname });
  socket.on('error', () => undefined);
  const drip = setInterval(() => socket.write('x'), 20);
  let answer = '';
  await new Promise<void>((resolve) => {
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    socket.on('close', () => resolve());
    socket.write('POST /v1/generate HTTP/1.1\r\nhost: a\r\nx: ');
  });
  clearInterval(drip);
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(answer).toContain('"request_timeout"');
});
