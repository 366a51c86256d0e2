/** HTTP to an engine: JSON there and back, and server-sent events, over TCP or a Unix socket. */
import { createParser } from 'eventsource-parser';
import { Agent, type Dispatcher, request } from 'undici';
import { UpstreamMalformedError, UpstreamStatusError, UpstreamUnreachableError } from './errors.ts';

export interface UpstreamOptions {
  /** Base URL without a slash at the end, such as `http://10.0.0.5:8000`; the routes' `/v1` is not part of it. */
  url: string;
  /** Goes as a bearer token. */
  apiKey?: string;
  /** Path of a Unix socket that is connected to instead of the URL's host. */
  socketPath?: string;
  /** For routes that are no generation: milliseconds until they must have answered. @default 10_000 */
  timeoutMs?: number;
  /** Goes with every request. */
  headers?: Record<string, string>;
}

/** Of an error's body, and of an event: more than that is no answer of an engine. */
const maxErrorBytes = 64 * 1024;
const maxEventBytes = 8 * 2 ** 20;

export class UpstreamHttp {
  readonly url: string;
  readonly #headers: Record<string, string>;
  readonly #agent: Agent;
  readonly #timeoutMs: number;

  constructor({ url, apiKey, socketPath, timeoutMs = 10_000, headers }: UpstreamOptions) {
    this.url = url;
    this.#headers = { ...headers, ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }) };
    this.#timeoutMs = timeoutMs;
    // A long prompt sends nothing for minutes; what bounds it is the request's own deadline.
    this.#agent = new Agent({
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: timeoutMs, ...(socketPath !== undefined && { socketPath }) },
    });
  }

  /** @throws UpstreamStatusError, UpstreamUnreachableError */
  text(path: string): Promise<string> {
    return this.#text('GET', path, undefined, AbortSignal.timeout(this.#timeoutMs));
  }

  /** @throws UpstreamStatusError, UpstreamUnreachableError, UpstreamMalformedError */
  async json(
    path: string,
    payload?: object,
    signal: AbortSignal = AbortSignal.timeout(this.#timeoutMs),
  ): Promise<unknown> {
    const text = await this.#text(payload ? 'POST' : 'GET', path, payload, signal);
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new UpstreamMalformedError(`${path} answered no JSON`, { cause });
    }
  }

  /**
   * The `data` of each event, parsed, until `[DONE]`. Aborting `signal` closes the connection, which is how engines
   * are told to stop.
   * @param onOpen the engine has taken the request
   * @throws UpstreamStatusError; UpstreamUnreachableError if it ends without `[DONE]`; UpstreamMalformedError;
   * what `onData` throws
   */
  async events(
    path: string,
    payload: object,
    signal: AbortSignal,
    onOpen: () => void,
    onData: (data: unknown) => void,
  ): Promise<void> {
    let done = false;
    const parser = createParser({
      maxBufferSize: maxEventBytes,
      onEvent({ data }) {
        if (data === '[DONE]') done = true;
        else if (!done && data !== '') onData(parse(path, data));
      },
      onError(cause) {
        // Fields that SSE does not know are to be passed over; an event without end is not.
        if (cause.type === 'max-buffer-size-exceeded') {
          throw new UpstreamMalformedError(`${path} sent an event of more than ${maxEventBytes} bytes`);
        }
      },
    });
    try {
      await this.#stream(path, payload, signal, onOpen, (text) => parser.feed(text));
      parser.reset({ consume: true });
    } catch (error) {
      if (!done) throw error;
    }
    if (!done) throw new UpstreamUnreachableError(`${path} ended before its answer did`);
  }

  /** Newline-delimited JSON, as Ollama streams it: whole where its body ends in order. Else as `events`. */
  async lines(
    path: string,
    payload: object,
    signal: AbortSignal,
    onOpen: () => void,
    onData: (data: unknown) => void,
  ): Promise<void> {
    let begun = '';
    const endLine = () => {
      if (begun.trim() !== '') onData(parse(path, begun));
      begun = '';
    };
    await this.#stream(path, payload, signal, onOpen, (text) => {
      const [first, ...rest] = text.split('\n') as [string, ...string[]];
      begun += first;
      for (const next of rest) {
        endLine();
        begun = next;
      }
      if (begun.length > maxEventBytes) throw new UpstreamMalformedError(`${path} sent a line without end`);
    });
    endLine();
  }

  /** Connections that are open are cut. */
  close(): Promise<void> {
    return this.#agent.destroy();
  }

  async #text(
    method: 'GET' | 'POST',
    path: string,
    payload: object | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const { body } = await this.#send(method, path, payload, signal);
    return body.text().catch((cause) => {
      throw new UpstreamUnreachableError(`${path}: ${reason(cause)}`, { cause });
    });
  }

  /** @throws what `onText` throws, with the connection closed */
  async #stream(
    path: string,
    payload: object,
    signal: AbortSignal,
    onOpen: () => void,
    onText: (text: string) => void,
  ): Promise<void> {
    const { body } = await this.#send('POST', path, payload, signal);
    onOpen();
    const utf8 = new TextDecoder();
    try {
      for await (const bytes of body) onText(utf8.decode(bytes as Uint8Array, { stream: true }));
    } catch (cause) {
      body.destroy();
      if (isOurs(cause)) throw cause;
      throw new UpstreamUnreachableError(`${path} was cut off: ${reason(cause)}`, { cause });
    }
  }

  async #send(
    method: 'GET' | 'POST',
    path: string,
    payload: object | undefined,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    let response: Dispatcher.ResponseData;
    try {
      response = await request(this.url + path, {
        method,
        dispatcher: this.#agent,
        signal,
        headers: { ...this.#headers, ...(payload && { 'content-type': 'application/json' }) },
        ...(payload && { body: JSON.stringify(payload) }),
      });
    } catch (cause) {
      throw new UpstreamUnreachableError(`${this.url}${path}: ${reason(cause)}`, { cause });
    }
    if (response.statusCode < 300) return response;
    const text = await firstBytes(response.body);
    const after = Number(response.headers['retry-after']);
    throw new UpstreamStatusError(
      response.statusCode,
      errorMessage(text),
      Number.isFinite(after) ? 1000 * after : undefined,
    );
  }
}

/** What `onText` throws, as against what the connection does. */
function isOurs(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const name = (error as Error).name;
  return !(
    name === 'AbortError' ||
    name === 'TimeoutError' ||
    code.startsWith('UND_ERR') ||
    /^E[A-Z]+$/.test(code)
  );
}

function parse(path: string, data: string): unknown {
  try {
    return JSON.parse(data);
  } catch (cause) {
    throw new UpstreamMalformedError(`${path} sent an event that is no JSON`, { cause });
  }
}

async function firstBytes(body: Dispatcher.ResponseData['body']): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const bytes of body as AsyncIterable<Uint8Array>) {
      parts.push(bytes);
      size += bytes.length;
      if (size > maxErrorBytes) break;
    }
  } catch {
    // What has come of it has to do.
  }
  return Buffer.concat(parts).toString();
}

/** OpenAI's error shape, FastAPI's, Ollama's, or the text's first line. */
function errorMessage(text: string): string {
  try {
    const body = JSON.parse(text) as { error?: unknown; message?: unknown; detail?: unknown };
    const error = body.error as { message?: unknown } | string | undefined;
    for (const found of [typeof error === 'object' ? error?.message : error, body.message, body.detail]) {
      if (typeof found === 'string') return found;
    }
  } catch {
    // Not JSON: the text then.
  }
  return text.split('\n', 1)[0]?.slice(0, 500) || 'no reason given';
}

function reason(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return message || code || String(error);
}
