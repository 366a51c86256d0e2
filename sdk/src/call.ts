/**
 * One call: its body and idempotency key, the tries it has made, and the single place where it waits.
 *
 * Whatever a call waits for (a key, headers, bytes, the next try) goes through here, one wait at a time, so that
 * an abort or a deadline ends any of them at once and closes the connection, also when `fetch` ignores signals.
 */
import {
  AbortError,
  ConnectionError,
  errorFromBody,
  HuoziError,
  ProtocolError,
  TimeoutError,
} from './errors.ts';
import { type RetryPolicy, retryDelay } from './retry.ts';

/** Milliseconds; 0 is off. */
export interface Deadlines {
  /**
   * Until the answer's headers. Not applied to an answer that is not streamed: its headers come with the whole
   * of it, so `firstToken` bounds that wait.
   * @default 30_000
   */
  connect: number;
  /**
   * From the headers until the first token, and the longest that keep-alives alone may go on later.
   * @default 300_000
   */
  firstToken: number;
  /**
   * Longest silence once tokens flow. Keep-alives break a silence; the time you take with a chunk is not counted.
   * @default 60_000
   */
  idle: number;
}

export interface CallPlan extends RetryPolicy {
  url: string;
  fetch: typeof fetch;
  apiKey: () => string | Promise<string>;
  headers: Headers;
  /** JSON; absent for a GET. */
  body?: string | undefined;
  deadlines: Deadlines;
  /** Bounds the wait for headers. */
  headersWithin: 'connect' | 'firstToken';
  signal: AbortSignal | undefined;
}

/** setTimeout fires at once for more. */
const longestTimer = 2 ** 31 - 1;
/** Of an error's body; the rest is not read, characters. */
const longestErrorBody = 65_536;

export class Call {
  readonly deadlines: Deadlines;
  /** Told once, when the call is stopped before it settled. */
  onStop: ((error: HuoziError) => void) | undefined;
  #plan: CallPlan;
  #tries = 0;
  /** Closes the connection of the present try. */
  #connection: AbortController | undefined;
  /** Rejects the present wait. */
  #interrupt: ((error: HuoziError) => void) | undefined;
  #stopped: HuoziError | undefined;
  #onAbort = () => {
    const data = { type: 'abort_error', cause: this.#plan.signal?.reason };
    this.stop(new AbortError('The call was aborted', data));
  };

  constructor(plan: CallPlan) {
    this.#plan = plan;
    this.deadlines = plan.deadlines;
    if (plan.signal?.aborted) this.#onAbort();
    else plan.signal?.addEventListener('abort', this.#onAbort);
  }

  /** Closes the connection and rejects the present wait and every later one. */
  stop(error: HuoziError): void {
    this.#stopped ??= error;
    this.#connection?.abort();
    this.#interrupt?.(error);
    this.settle();
    this.onStop?.(error);
  }

  /** Lets go of the caller's signal: the call is over. */
  settle(): void {
    this.#plan.signal?.removeEventListener('abort', this.#onAbort);
  }

  /** The first 2xx, its body unread. The caller reads it through {@link wait} and settles the call. */
  open(): Promise<Response> {
    return this.#until((response) => response);
  }

  /** The first 2xx's body as JSON; a body that breaks off is worth another try. The call is over then. */
  async json(): Promise<{ value: unknown; headers: Headers }> {
    const answer = await this.#until(async (response) => {
      const value = parse(await this.#text(response, Number.POSITIVE_INFINITY));
      if (value !== undefined) return { value, headers: response.headers };
      const type = response.headers.get('content-type');
      throw new ProtocolError(`The answer is no JSON (${type}); does baseURL point at the API?`, {
        type: 'protocol_error',
        requestId: response.headers.get('x-request-id') ?? undefined,
      });
    });
    this.settle();
    return answer;
  }

  /** Resolves when it is time for another try; rejects with `failure` when there is none to make. */
  async backOff(failure: HuoziError): Promise<void> {
    const delay = this.#stopped ? undefined : retryDelay(failure, this.#tries, this.#plan, Math.random);
    if (delay === undefined) throw failure;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, delay);
      this.#interrupt = (error) => {
        clearTimeout(timer);
        reject(error);
      };
    });
  }

  /** Waits for `promise`, `ms` at most; past that the connection is closed. */
  wait<T>(promise: Promise<T>, ms: number, deadline: keyof Deadlines): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const fail = (cause: unknown) => {
        clearTimeout(timer);
        reject(cause);
      };
      const expire = () => {
        this.#connection?.abort();
        const message = `Nothing came within ${Math.round(ms)} ms (deadline "${deadline}")`;
        fail(new TimeoutError(message, { type: 'timeout_error', code: deadline, isRetryable: true }));
      };
      if (ms > 0 && ms <= longestTimer) {
        // After a blocked event loop or a sleeping laptop timers run before input is read: it may be there.
        timer = setTimeout(() => {
          timer = setTimeout(expire, 1);
        }, ms);
      }
      promise.then((value) => {
        clearTimeout(timer);
        resolve(value);
      }, fail);
      this.#interrupt = fail;
      if (this.#stopped) fail(this.#stopped);
    });
  }

  async #until<T>(use: (response: Response) => T | Promise<T>): Promise<T> {
    try {
      for (;;) {
        if (this.#stopped) throw this.#stopped;
        // Outside of the inner try: what your own function throws is yours, and no reason to try again.
        await this.#authorize();
        try {
          return await use(await this.#try());
        } catch (cause) {
          await this.backOff(asFailure(cause));
        }
      }
    } catch (error) {
      this.settle();
      throw error;
    }
  }

  async #authorize(): Promise<void> {
    const key = this.#plan.apiKey();
    const apiKey = (typeof key === 'string' ? key : await this.wait(key, 0, 'connect')).trim();
    // Headers would throw, too, but with the key in its message.
    if (!/^[\x21-\x7e]+$/.test(apiKey)) {
      throw new HuoziError('apiKey is empty, or holds what cannot stand in a header', { code: 'api_key' });
    }
    this.#plan.headers.set('authorization', `Bearer ${apiKey}`);
  }

  async #try(): Promise<Response> {
    const { url, fetch, headers, body, deadlines, headersWithin } = this.#plan;
    this.#tries++;
    this.#connection?.abort();
    this.#connection = new AbortController();
    const { signal } = this.#connection;
    const init: RequestInit =
      body === undefined ? { headers, signal } : { method: 'POST', headers, body, signal };
    const response = await this.wait(fetch(url, init), deadlines[headersWithin], headersWithin);
    if (response.ok) return response;
    const text = await this.#text(response, longestErrorBody);
    throw errorFromBody(parse(text), response.headers, response.status);
  }

  async #text(response: Response, limit: number): Promise<string> {
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    let text = '';
    while (reader && text.length < limit) {
      const { done, value } = await this.wait(reader.read(), this.deadlines.idle, 'idle');
      if (done) return text + decoder.decode();
      text += decoder.decode(value, { stream: true });
    }
    this.#connection?.abort();
    return text;
  }
}

/** What `fetch` and its bodies reject with differs by runtime, and only means: the connection is lost. */
export function asFailure(cause: unknown): HuoziError {
  if (HuoziError.isInstance(cause)) return cause;
  const told = cause instanceof Error ? cause.message : String(cause);
  return new ConnectionError(`The connection failed: ${told}`, {
    type: 'connection_error',
    isRetryable: true,
    cause,
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
