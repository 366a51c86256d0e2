/**
 * Stands between the edge and one node and breaks what it is told to, on the connection itself: what a network, a
 * tunnel or a dying machine does, and no node would. Requests without a fault pass as they are.
 */
import { createServer, type IncomingMessage, request as send } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What goes wrong with one `POST /v1/generate`. */
export type Fault =
  /** The node never hears of it; this is what the edge hears. */
  | { instead: (socket: Socket) => void }
  /**
   * The node's own answer until so many of its events have passed, or the one that has this in it; `next` is the one
   * that would follow, '' at the end. `mute`: nor does it answer when it is asked to stop.
   */
  | { after: number | string; happens: (wire: Wire, next: string) => void | Promise<void>; mute?: true };

/** The edge's connection, amid a chunked body. */
export interface Wire {
  socket: Socket;
  /** One chunk. */
  chunk(bytes: string | Uint8Array): void;
  /** The rest of the node's answer. */
  goOn(): Promise<void>;
  /** As if the answer ended here. */
  end(): void;
}

export class FaultProxy {
  readonly #node: string;
  readonly #plan: (request: IncomingMessage) => Fault | undefined;
  /** Generations whose cancelling is not answered. */
  readonly #mute = new Set<string>();
  readonly #server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const body = Buffer.concat(pieces);
      const isGeneration = request.method === 'POST' && request.url === '/v1/generate';
      const fault = isGeneration ? this.#plan(request) : undefined;
      if (fault && 'instead' in fault) return fault.instead(request.socket);
      if (fault?.mute) this.#mute.add(JSON.parse(body.toString()).events.id);
      if (request.method === 'DELETE' && this.#mute.has(request.url!.split('/').at(-1)!)) return;
      const passing = send(
        this.#node + request.url,
        { method: request.method!, headers: request.headers },
        (answer) => {
          if (fault && answer.statusCode === 200) return void breakOff(request.socket, answer, fault);
          response.writeHead(answer.statusCode!, answer.headers);
          response.flushHeaders();
          answer.pipe(response);
          answer.on('error', () => response.destroy());
        },
      );
      passing.on('error', () => response.destroy());
      request.socket.once('close', () => passing.destroy());
      passing.end(body);
    });
  });

  /** @param plan which fault a generation gets, if any; asked once for each */
  constructor(node: string, plan: (request: IncomingMessage) => Fault | undefined) {
    this.#node = node;
    this.#plan = plan;
    this.#server.on('connection', (socket) => socket.on('error', () => undefined));
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function breakOff(
  socket: Socket,
  answer: IncomingMessage,
  { after, happens }: Extract<Fault, { happens: unknown }>,
): Promise<void> {
  const chunk = (bytes: string | Uint8Array) => {
    const data = Buffer.from(bytes as string);
    socket.write(`${data.length.toString(16)}\r\n`);
    socket.write(data);
    socket.write('\r\n');
  };
  socket.write(
    `HTTP/1.1 200 OK\r\ncontent-type: ${answer.headers['content-type']}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n`,
  );
  const end = () => void socket.end('0\r\n\r\n');
  const events = eventsOf(answer);
  const goOn = async () => {
    for await (const event of events) chunk(event);
    end();
  };
  try {
    let passed = 0;
    for (let last = ''; typeof after === 'string' ? !last.includes(after) : passed < after; passed++) {
      const { value, done } = await events.next();
      if (done) throw new Error(`the answer had ${passed} events; the fault was to come after ${after}`);
      chunk(value);
      last = value;
    }
    const { value } = await events.next();
    await happens({ socket, chunk, goOn, end }, value ?? '');
  } catch (error) {
    // The edge has given up, which takes the node's connection along; anything else is the test's own fault.
    if (!socket.destroyed) socket.destroy(error as Error);
  }
}

/** Whole events, pings left out: when they come is chance. */
async function* eventsOf(answer: IncomingMessage): AsyncGenerator<string, undefined> {
  let text = '';
  for await (const piece of answer.setEncoding('utf8')) {
    text += piece;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event = text.slice(0, end + 2);
      text = text.slice(end + 2);
      if (!event.startsWith(': ping')) yield event;
    }
  }
  return undefined;
}
