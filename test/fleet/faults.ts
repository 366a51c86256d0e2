/** What can go wrong between edge and node, by name. */
import type { Socket } from 'node:net';
import type { Fault, Wire } from './fault-proxy.ts';

const delayMs = 300;
const trickleMs = 50;

const bytesOf = (length: number) => Uint8Array.from({ length }, (_, at) => (at * 197 + 11) % 256);

/** One byte at a time, for as long as anybody listens. */
function trickle(socket: Socket, text: string, write: (byte: string) => void): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed) clearInterval(timer);
    else write(text[at++ % text.length]!);
  }, trickleMs);
}

const answers =
  (status: string, headers: string, body = '') =>
  (socket: Socket) =>
    void socket.end(
      `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: ${body.length}\r\n${headers}\r\n${body}`,
    );

const json = 'content-type: application/json\r\n';

/** Before any header of the node. `alone`: what a client is told when nobody else answers. */
export const beforeHeaders: Record<string, { fault: (socket: Socket) => void; alone: [number, string] }> = {
  'resets the connection': {
    fault: (socket) => void socket.resetAndDestroy(),
    alone: [503, 'no_node_available'],
  },
  'closes the connection': { fault: (socket) => void socket.end(), alone: [503, 'no_node_available'] },
  'never answers': { fault: () => undefined, alone: [503, 'no_node_available'] },
  'answers garbage instead of HTTP': {
    fault: (socket) => void socket.write(bytesOf(4096)),
    alone: [503, 'no_node_available'],
  },
  'ends amid its headers': {
    fault: (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-type: text/ev'),
    alone: [503, 'no_node_available'],
  },
  'trickles its headers': {
    fault: (socket) => trickle(socket, 'HTTP/1.1 200 OK\r\nx: y', (byte) => socket.write(byte)),
    alone: [503, 'no_node_available'],
  },
  'answers with 200 and a page': {
    fault: answers('200 OK', 'content-type: text/html\r\n', '<h1>Welcome</h1>'),
    alone: [502, 'upstream_misconfigured'],
  },
  'sends elsewhere': {
    fault: answers('302 Found', 'location: http://127.0.0.1:9/\r\n'),
    alone: [502, 'upstream_misconfigured'],
  },
  'answers with 401': {
    fault: answers('401 Unauthorized', json, '{}'),
    alone: [502, 'upstream_misconfigured'],
  },
  'answers with 429': {
    fault: answers('429 Too Many Requests', `${json}retry-after: 3\r\n`, '{"error":{"code":"queue_full"}}'),
    alone: [429, 'overloaded'],
  },
  'answers with 502, as a tunnel': {
    fault: answers('502 Bad Gateway', 'content-type: text/html\r\n', '<h1>Bad gateway</h1>'),
    alone: [503, 'no_node_available'],
  },
  'answers with 503': {
    fault: answers('503 Service Unavailable', json, '{"error":{"code":"node_draining"}}'),
    alone: [503, 'no_node_available'],
  },
};

export const internalError = answers(
  '500 Internal Server Error',
  json,
  '{"error":{"message":"x","type":"server_error","param":null,"code":"internal_error"}}',
);

export const longHeaders = (kib: number) => (socket: Socket) =>
  void socket.write(
    `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n${`x-filler: ${'x'.repeat(1012)}\r\n`.repeat(kib)}\r\n`,
  );

type Break = Extract<Fault, { happens: unknown }>['happens'];

/** With the headers out, before an event or amid an answer. */
export const amidBody: Record<string, Break> = {
  'resets the connection': ({ socket }) => void socket.resetAndDestroy(),
  'falls silent': () => undefined,
  'falls silent amid an event': ({ chunk }, next) => chunk(next.slice(0, next.length / 2)),
  'leaves half an event and a clean end': ({ chunk, end }, next) => {
    chunk(next.slice(0, next.length / 2));
    end();
  },
  'leaves half an event and no end': ({ socket, chunk }, next) => {
    chunk(next.slice(0, next.length / 2));
    socket.end();
  },
  'leaves half a chunk': ({ socket }, next) => void socket.end(`ffff\r\n${next}`),
  'ends between two events': ({ end }) => end(),
  'writes garbage for a chunk': ({ socket }) => void socket.write(bytesOf(4096)),
  'writes garbage among its events': async ({ chunk, goOn }, next) => {
    chunk(bytesOf(512));
    chunk('\n\n');
    chunk(next);
    await goOn();
  },
  'writes half an event, then another’s': async ({ chunk, goOn }, next) => {
    chunk(`${next.slice(0, next.length - 20)}\n\n`);
    await goOn();
  },
  'writes a page among its events': async ({ chunk, goOn }, next) => {
    chunk('<html>\n\n<h1>504 Gateway Time-out</h1>\n\n</html>\n\n');
    chunk(next);
    await goOn();
  },
  'trickles an event': ({ socket, chunk }, next) => trickle(socket, next.replaceAll('\n', ' '), chunk),
};

/** What is only slow, and must change nothing. */
export const slow: Record<string, Fault> = {
  'answers late': {
    after: 0,
    async happens(wire, next) {
      await late(wire, next);
    },
  },
  'pauses amid its answer': { after: 5, happens: late },
};

async function late({ chunk, goOn }: Wire, next: string): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  chunk(next);
  await goOn();
}
