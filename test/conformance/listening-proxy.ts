/** Stands between edge and node, passes everything on, and remembers what the edge asked for. */
import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Heard {
  path: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body is what it checks
  body: any;
}

export class ListeningProxy {
  /** By the id that the edge gave the request. */
  readonly heard = new Map<string, Heard>();
  #target = '';
  readonly #server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      const body = Buffer.concat(pieces);
      const id = request.headers['x-request-id'];
      if (body.length > 0 && typeof id === 'string') {
        this.heard.set(id, { path: request.url!, body: JSON.parse(body.toString()) });
      }
      const { method, headers, url } = request;
      const forwarded = send(this.#target + url, { method, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      forwarded.on('error', () => response.destroy());
      response.on('close', () => forwarded.destroy());
      forwarded.end(body);
    });
  });

  /** @returns its own URL */
  async start(target: string): Promise<string> {
    this.#target = target;
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
