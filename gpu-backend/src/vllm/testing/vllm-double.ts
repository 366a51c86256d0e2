/** Stands for vLLM: answers its routes with what was recorded of it, and does on demand what it cannot be made to. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { recordedMetrics, recordedModels, recordedRefusal } from './recorded.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body is what it checks
type Body = any;
type Script = (body: Body, response: ServerResponse) => unknown;

export class VllmDouble {
  readonly bodies: Body[] = [];
  /** How the next completions are answered; the last one goes on. */
  script: Script = (_, response) => response.end('data: [DONE]\n\n');
  metrics = recordedMetrics;
  hasPriority = true;
  /** Completions whose connection was closed before their end. */
  aborted = 0;
  #port = 0;
  #server = createServer((request, response) => void this.#answer(request, response));
  #waiting: (() => void)[] = [];

  async listen(): Promise<string> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return `http://127.0.0.1:${this.#port}`;
  }

  /** As a process that is killed: every connection is reset. */
  async die(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Settles at the next closed connection of a running completion. */
  abort(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/v1/models') return void response.end(recordedModels);
    if (request.url === '/version') return void response.end('{"version":"0.32.0"}');
    if (request.url === '/metrics') return void response.end(this.metrics);
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = JSON.parse(Buffer.concat(parts).toString());
    if (body.max_tokens === 1 && body.priority === 1) {
      // The question which policy it schedules by.
      response.writeHead(this.hasPriority ? 200 : 400);
      return void response.end(this.hasPriority ? '{}' : recordedRefusal);
    }
    this.bodies.push(body);
    response.on('close', () => {
      if (response.writableEnded) return;
      this.aborted++;
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
    this.script(body, response);
  }
}

/** An event as vLLM writes it, with these ids. */
export function chunk(ids: readonly number[], finish: string | null = null): string {
  const choice = { index: 0, text: '', logprobs: null, finish_reason: finish, stop_reason: null };
  return `data: ${JSON.stringify({ object: 'text_completion', choices: [{ ...choice, token_ids: ids }] })}\n\n`;
}
