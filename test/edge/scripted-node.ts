/**
 * A node that does what a test says, for faults that a real one does not make on demand. Its events are written
 * down from `huozi-gpu-backend/protocol`; that the real node writes the same is for test/e2e to show.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type ExpertTelemetry,
  type GenerateRequest,
  generateRequest,
  type NodeInfo,
  type NodeUsage,
  type Segment,
  tokenizeRequest,
} from 'huozi-gpu-backend/protocol';

export interface Generation {
  request: GenerateRequest;
  headers: IncomingHttpHeaders;
  response: ServerResponse;
  /** Settles when the connection has gone, whoever ended it. */
  closed: Promise<void>;
  /** Whether it was gone before the node had ended its answer. */
  abandoned: boolean;
}

export type Script = (generation: Generation) => unknown;

export class ScriptedNode {
  readonly token = 'the-nodes-token';
  readonly generations: Generation[] = [];
  /** Ids that were cancelled. */
  readonly cancelled: string[] = [];
  script: Script = answer('好');
  /** Prompts that were to be tokenised. */
  readonly tokenized: Segment[][] = [];
  /** What it answers to them; a number is a status. */
  tokenize: (prompt: Segment[]) => number[] | number = tokensOf;
  /** What DELETE tells; undefined: a 404. */
  usage: NodeUsage | undefined = { prompt_tokens: 7, completion_tokens: 3, reason: 'cancelled' };
  /** What it says of itself. */
  info: Partial<NodeInfo> = { model: 'huozi', context_length: 4096 };
  /** What it tells of its experts; a number is a status. */
  experts: ExpertTelemetry | number = 404;
  /** How often it was asked for that. */
  expertsAsked = 0;
  readonly #server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (piece) => {
      body += piece;
    });
    request.on('end', () => {
      if (request.headers.authorization !== `Bearer ${this.token}`) response.writeHead(401).end();
      else if (request.url === '/v1/node') response.end(JSON.stringify(this.info));
      else if (request.url === '/v1/experts') this.#experts(response);
      else if (request.url === '/v1/tokenize') this.#tokenize(body, response);
      else if (request.method === 'DELETE') this.#cancel(request.url!, response);
      else this.#generate(body, request.headers, response);
    });
  });

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

  #cancel(url: string, response: ServerResponse): void {
    const id = url.split('/').at(-1)!;
    this.cancelled.push(id);
    if (this.usage) response.end(JSON.stringify({ id, usage: this.usage }));
    else response.writeHead(404).end('{}');
  }

  #experts(response: ServerResponse): void {
    this.expertsAsked++;
    if (typeof this.experts === 'number') response.writeHead(this.experts).end('{}');
    else response.end(JSON.stringify(this.experts));
  }

  #tokenize(body: string, response: ServerResponse): void {
    const { prompt } = tokenizeRequest.parse(JSON.parse(body));
    this.tokenized.push(prompt);
    const tokens = this.tokenize(prompt);
    if (typeof tokens === 'number') response.writeHead(tokens).end('{}');
    else response.end(JSON.stringify({ tokens, count: tokens.length }));
  }

  #generate(body: string, headers: IncomingHttpHeaders, response: ServerResponse): void {
    const generation: Generation = {
      // Whatever the edge sends must be what a real node accepts.
      request: generateRequest.parse(JSON.parse(body)),
      headers,
      response,
      closed: new Promise((resolve) => response.on('close', resolve)),
      abandoned: false,
    };
    response.on('close', () => {
      generation.abandoned = !response.writableFinished;
    });
    response.on('error', () => undefined);
    this.generations.push(generation);
    this.script(generation);
  }
}

/** One token a character. */
export function tokensOf(prompt: readonly Segment[]): number[] {
  const control = { bos: 1, begin: 57_000, end: 57_001 };
  return prompt.flatMap((segment) =>
    'text' in segment
      ? [...segment.text].map((character) => character.codePointAt(0)! + 60_000)
      : [control[segment.control]],
  );
}

/** What a node sends when it has accepted. */
export function accept({ response }: Generation): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.flushHeaders();
}

function event(request: GenerateRequest, position: number, rest: object, ids?: number[]): string {
  const { id, object, created, model } = request.events;
  const data = {
    id,
    object: object === 'chat.completion' ? `${object}.chunk` : object,
    created,
    model,
    ...rest,
  };
  return `id: ${position}\n${ids ? `: ids ${ids}\n` : ''}data: ${JSON.stringify(data)}\n\n`;
}

export function textEvent(request: GenerateRequest, position: number, text: string): string {
  const role = position === 1 ? { role: request.events.role } : {};
  const delta =
    request.events.object === 'chat.completion' ? { delta: { ...role, content: text } } : { text };
  const choice = { index: 0, ...delta, logprobs: null, finish_reason: null };
  return event(request, position, { choices: [choice] }, [100 + position]);
}

function ending(request: GenerateRequest, tokens: number): string {
  const usage: NodeUsage = { prompt_tokens: 5, completion_tokens: tokens, reason: 'stop' };
  const delta = request.events.object === 'chat.completion' ? { delta: {} } : { text: '' };
  const finish = { choices: [{ index: 0, ...delta, logprobs: null, finish_reason: 'stop' }] };
  const total = { prompt_tokens: 5, completion_tokens: tokens, total_tokens: 5 + tokens };
  const wanted = request.events.include_usage ? event(request, tokens, { choices: [], usage: total }) : '';
  return `${event(request, tokens, finish)}${wanted}: usage ${JSON.stringify(usage)}\ndata: [DONE]\n\n`;
}

/** The whole stream of an answer, one token a character. */
export function streamOf(request: GenerateRequest, text: string): string {
  const characters = [...text];
  const events = characters.map((character, at) => textEvent(request, at + 1, character));
  return events.join('') + ending(request, characters.length);
}

/** Accepts and answers at once. */
export function answer(text: string): Script {
  return (generation) => {
    accept(generation);
    generation.response.end(streamOf(generation.request, text));
  };
}

/** Refuses before anything was accepted. */
export function refuse(status: number, error: object, headers: Record<string, string> = {}): Script {
  return ({ response }) => {
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify({ error }));
  };
}
