/** A client that shows bytes as they arrive, over a connection of its own. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { greedy } from '../../engine/testing/generate.ts';
import type { GenerateRequest } from '../../protocol.ts';

export const token = 'test-token-0123456789';

type Overrides = Partial<Omit<GenerateRequest, 'events'>> & { events?: Partial<GenerateRequest['events']> };

export function generateBody({ events, ...rest }: Overrides = {}): GenerateRequest {
  return {
    prompt: [{ control: 'bos' }, { text: '你好' }],
    sampling: { ...greedy, seed: 1 },
    stop: [],
    stop_token_ids: [],
    ignore_eos: false,
    ...rest,
    events: {
      object: 'chat.completion',
      id: 'chatcmpl-1',
      model: 'huozi',
      created: 1_700_000_000,
      role: 'assistant',
      stream: true,
      include_usage: false,
      ...events,
    },
  };
}

export class Answer {
  readonly request: ClientRequest;
  readonly response: IncomingMessage;
  /** As HTTP's framing cut it: one entry for each write of the node. */
  readonly writes: string[] = [];
  /** Resolves when the response ended; false when it was cut short. */
  readonly ended: Promise<boolean>;
  #onChange: () => void = () => undefined;
  #over = false;

  constructor(request: ClientRequest, response: IncomingMessage) {
    this.request = request;
    this.response = response;
    response.setEncoding('utf8');
    this.ended = new Promise((resolve) => {
      response.on('close', () => {
        this.#over = true;
        this.#onChange();
        resolve(response.complete);
      });
    });
    response.on('error', () => undefined);
  }

  /** Starts to read. Without it the client is one that does not. */
  read(): this {
    this.response.on('data', (text: string) => {
      this.writes.push(text);
      this.#onChange();
    });
    return this;
  }

  get text(): string {
    return this.writes.join('');
  }

  get status(): number {
    return this.response.statusCode ?? 0;
  }

  /** Waits until what has arrived contains `part`, so many times; throws when the response ends before. */
  async until(part: string, times = 1): Promise<void> {
    while (this.count(part) < times) {
      if (this.#over) throw new Error(`the response ended without ${times} of ${JSON.stringify(part)}`);
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
  }

  count(part: string): number {
    return this.text.split(part).length - 1;
  }

  async json(): Promise<unknown> {
    await this.ended;
    return JSON.parse(this.text);
  }

  /** The client leaves. */
  leave(): void {
    this.request.destroy();
  }
}

interface SendOptions {
  method?: string;
  token?: string | null;
  headers?: Record<string, string>;
}

/** Sends a request and settles with the response's headers; `body` goes out as JSON unless it is a string. */
export function send(base: string, path: string, body?: unknown, options: SendOptions = {}): Promise<Answer> {
  const { method = body === undefined ? 'GET' : 'POST', token: bearer = token, headers = {} } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest(new URL(path, base), {
      method,
      agent: false,
      headers: { ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }), ...headers },
    });
    request.on('response', (response) => resolve(new Answer(request, response)));
    request.on('error', reject);
    request.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
  });
}
