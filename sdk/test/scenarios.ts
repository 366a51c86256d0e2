/** The ways in which streams go wrong, by the names that `hostile.test.ts` reports. */
import { events, first, last, second } from './answers.ts';
import type { Behaviour, Exchange } from './hostile-server.ts';

const bytes = new TextEncoder();

/** Byte by byte, so that nothing comes in one piece. */
function torn(stream: string): Behaviour {
  return async ({ begin, write, response }) => {
    begin();
    for (const byte of bytes.encode(stream)) await write(Uint8Array.of(byte));
    response.end();
  };
}

function whole(stream: string): Behaviour {
  return async ({ begin, response }) => {
    begin();
    response.end(stream);
  };
}

function afterFirst(rest: (exchange: Exchange) => void | Promise<void>): Behaviour {
  return async (exchange) => {
    exchange.begin();
    await exchange.event(first);
    await rest(exchange);
  };
}

const stream = events.join('');

/** As an edge tells what it keeps: where, and each event with its number. */
const kept = { 'x-huozi-stream': '/v1/streams/s-1' };
const numbered = events.map((event, at) => `id: ${at + 1}\n${event}`);

/** Tells one event, and then is cut; whoever comes again gets what is missing. */
function cutOnce(cut: (exchange: Exchange) => void): Behaviour {
  return async (exchange) => {
    const { tryCount, request, begin, write, response } = exchange;
    begin(kept);
    const [, after = '0'] = /[?]after=(\d+)$/.exec(request) ?? [];
    if (tryCount > 1) return void response.end(numbered.slice(Number(after)).join(''));
    await write(numbered[0]!);
    cut(exchange);
  };
}

export const scenarios = {
  comments: whole(`: ping\n\n${events.join(': ping\n\n: ids 312,447\n')}`),
  'torn CRLF': torn(stream.replaceAll('\n', '\r\n')),
  'torn UTF-8': torn(stream),
  'no space after the colon': whole(stream.replaceAll('data: ', 'data:')),
  'empty data: keep-alive': whole(events.join('data:\n\ndata: \n\n')),
  'last event lacks its blank line': whole(
    [first, second, last].map((data) => `data: ${JSON.stringify(data)}`).join('\n\n'),
  ),
  'error mid-stream': afterFirst(async ({ event, response }) => {
    await event({
      error: { message: 'the node is gone', type: 'server_error', code: 'node_lost', param: null },
    });
    response.end();
  }),
  'malformed JSON chunk': afterFirst(async ({ event, response }) => {
    await event('{"choices":[{"index":0,"delta":{"content":"，世');
    await event(last);
    await event('[DONE]');
    response.end();
  }),
  'clean EOF with no finish_reason': afterFirst(async ({ event, response }) => {
    await event(second);
    response.end();
  }),
  '[DONE] with no finish_reason': afterFirst(async ({ event, response }) => {
    await event('[DONE]');
    response.end();
  }),
  'socket dies mid-stream': afterFirst(async ({ response }) => {
    // A reset takes with it what has come and was not read yet, and no server knows what was.
    await new Promise((resolve) => setTimeout(resolve, 250));
    response.socket?.resetAndDestroy();
  }),
  'chunked body cut short': afterFirst(({ response }) => void response.socket?.end()),
  'kept answer, clean EOF': cutOnce(({ response }) => response.end()),
  'kept answer, socket dies': cutOnce(({ response }) => void response.socket?.resetAndDestroy()),
  'silent stall': afterFirst(() => {}),
  'stall with keep-alives': afterFirst(async ({ write, response }) => {
    const timer = setInterval(() => void write(': ping\n\n'), 20);
    response.once('close', () => clearInterval(timer));
  }),
  'no headers': () => {},
  'headers, then no token': ({ begin }) => begin(),
  'permanent 503': ({ response }) => {
    response.writeHead(503, { 'content-type': 'application/json', 'x-request-id': 'r-503' });
    response.end(
      '{"error":{"message":"no node is free","type":"server_error","param":null,"code":"overloaded"}}',
    );
  },
  'Retry-After: 90': ({ response }) => {
    response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '90' });
    response.end('{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":null}}');
  },
  break: afterFirst(async ({ event, response }) => {
    while (!response.closed) await event(second);
  }),
  'kept answer, break': async ({ request, begin, write, response }) => {
    if (request.startsWith('DELETE')) return void response.end('{}');
    begin(kept);
    for (let id = 1; !response.closed; id++) await write(`id: ${id}\n${events[0]}`);
  },
  'idempotency key': async ({ tryCount, response, begin }) => {
    if (tryCount < 3) {
      response.writeHead(503, { 'content-type': 'application/json' });
      response.end('{}');
      return;
    }
    begin();
    response.end(stream);
  },
} satisfies Record<string, Behaviour>;

export type Scenario = keyof typeof scenarios;
