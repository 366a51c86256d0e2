/**
 * A double of a dedicated Hugging Face Inference Endpoint: nobody here has an account. Its `/v1/completions` streams
 * what Text Generation Inference streams (3.x, router/src/server.rs: an event a token, the reason and the usage in the
 * last, with the text of the token that ended it), and refuses what TGI's validation refuses.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Completion {
  url: string;
  headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body is what it checks
  body: any;
  response: ServerResponse;
  closed: Promise<void>;
}

export type EndpointScript = (completion: Completion) => unknown;

export class ScriptedEndpoint {
  readonly token = 'hf_a-token-of-the-operators-own';
  readonly completions: Completion[] = [];
  script: EndpointScript = tgi(['从', '云']);
  readonly #server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (piece) => {
      text += piece;
    });
    request.on('end', () => {
      response.on('error', () => undefined);
      const closed = new Promise<void>((resolve) => response.on('close', resolve));
      const { url = '', headers } = request;
      const completion: Completion = { url, headers, body: JSON.parse(text), response, closed };
      this.completions.push(completion);
      if (headers.authorization !== `Bearer ${this.token}`) response.writeHead(401).end();
      else this.script(completion);
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
}

export function accept({ response }: Completion): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
}

const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`;

export function chunk(text: string, finish_reason = '', usage?: object): string {
  return event({
    object: 'text_completion',
    id: '',
    created: 1,
    model: 'owner/huozi',
    system_fingerprint: '3.3.6-sha',
    choices: [{ index: 0, text, logprobs: null, finish_reason }],
    ...(usage && { usage }),
  });
}

const usageOf = (tokens: number) => ({
  prompt_tokens: 11,
  completion_tokens: tokens,
  total_tokens: 11 + tokens,
});

/** Streams these tokens, then the one that ends the answer; TGI tells its text too. */
export function tgi(
  tokens: readonly string[],
  last = '<|endofutterance|>',
  reason = 'stop_sequence',
): EndpointScript {
  return (completion) => {
    const { response, body } = completion;
    const { stop = [], top_p, temperature } = body;
    if (stop.length > 4) return invalid(response, '`stop` supports up to 4 stop sequences.');
    if (top_p !== undefined && (top_p <= 0 || top_p >= 1))
      return invalid(response, '`top_p` must be > 0.0 and < 1.0');
    if (temperature < 0) return invalid(response, '`temperature` must be strictly positive');
    accept(completion);
    const usage = usageOf(tokens.length + 1);
    response.end(
      `${tokens.map((token) => chunk(token)).join('')}${chunk(last, reason, usage)}data: [DONE]\n\n`,
    );
  };
}

function invalid(response: ServerResponse, error: string): void {
  response
    .writeHead(422, { 'content-type': 'application/json' })
    .end(JSON.stringify({ error: `Input validation error: ${error}`, error_type: 'validation' }));
}

/** As vLLM tells it: no text of what ended the answer, and the usage in an event of its own. */
export function vllm(tokens: readonly string[]): EndpointScript {
  return (completion) => {
    accept(completion);
    const end = event({
      choices: [{ index: 0, text: '', finish_reason: 'stop', stop_reason: 57_001 }],
      usage: null,
    });
    const usage = event({ choices: [], usage: usageOf(tokens.length + 1) });
    completion.response.end(`${tokens.map((token) => chunk(token)).join('')}${end}${usage}data: [DONE]\n\n`);
  };
}
