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
  requestIdOf,
  TimeoutError,
} from './errors.ts';
import type { ClientSettings, Deadlines, RequestOptions } from './options.ts';
import type { CallOptions } from './requester.ts';
import { retryDelay } from './retry.ts';

export interface Call {
  /** Told once, when the call is stopped. */
  onStop: ((error: HuoziError) => void) | undefined;
  /** Where the server keeps the streamed answer, if it does: a path after `/v1`. */
  stream: string | undefined;
  /** As the caller gave it. */
  onResume: RequestOptions['onResume'];
  /**
   * The first 2xx, its body unread. The caller reads it within {@link limit} and settles the call.
   *
   * @param after asks for the rest of {@link stream}, after the event of this number
   */
  open(after?: number): Promise<Response>;
  /**
   * The first 2xx's body, read whole, with its request's id as a `_request_id` that does not show; a body that
   * breaks off is worth another try. The call is over then.
   */
  json(): Promise<object>;
  /**
   * Begins a wait that costs no promise and no timer, for what happens once a token: `interrupt` is called if the
   * deadline passes or the call is stopped before the next `limit`; 0 ms ends the limit. Throws if the call was
   * stopped already.
   *
   * @param ms what the call was given for this deadline, unless told
   */
  limit(interrupt: (error: unknown) => void, deadline: keyof Deadlines, ms?: number): void;
  /** Made so far. An answer that comes further has them counted anew. */
  tries: number;
  /** Resolves when it is time for another try; rejects with `failure` when there is none to make. */
  backOff(failure: HuoziError): Promise<void>;
  /** Closes the connection, ends the answer at the server, and rejects the present wait and every later one. */
  stop(error: HuoziError): void;
  /** Stops it with an AbortError. */
  abort(): void;
  /** Lets go of the caller's signal: the call is over. */
  settle(): void;
}

/**
 * A call that was not tried yet. Closures and not a class: half the size once minified.
 *
 * @param headersWithin the deadline that bounds the wait for headers
 */
export function createCall(
  settings: ClientSettings,
  path: string,
  body: object | undefined,
  options: CallOptions = {},
  headersWithin: 'connect' | 'firstToken' = 'connect',
): Call {
  const {
    signal,
    maxRetries = settings.maxRetries,
    idempotencyKey = randomKey(),
    method = body ? 'POST' : 'GET',
  } = options;
  const { fetch = globalThis.fetch, apiKey, maxRetryAfter } = settings;
  const deadlines = { ...settings.deadlines, ...options.deadlines };
  const headers = new Headers(settings.defaultHeaders);
  new Headers(options.headers).forEach((value, name) => {
    headers.set(name, value);
  });
  if (body) {
    headers.set('content-type', 'application/json');
    // Here and not in a try: all tries of a call are one call to the server.
    headers.set('idempotency-key', idempotencyKey);
  }
  let request: RequestInit = { method, headers, body: body && JSON.stringify(body) } as RequestInit;

  /** Closes the connection of the present try. */
  let connection: AbortController | undefined;
  /** Ends the present wait. */
  let interrupt: ((error: unknown) => void) | undefined;
  let stopped: HuoziError | undefined;

  // One timer for all waits: it is set again when it fires too early, not at every token.
  let timer: ReturnType<typeof setTimeout> | undefined;
  let firesAt: number | undefined;
  let expiresAt = 0;
  let limited: keyof Deadlines;
  let isLate = false;

  function stop(error: HuoziError): void {
    if (stopped) return;
    stopped = error;
    // Losing its connection does not end an answer that the server keeps.
    if (call.stream) send(call.stream, { method: 'DELETE', headers, keepalive: true }).catch(() => {});
    cut(error);
    settle();
    call.onStop?.(error);
  }

  function settle(): void {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }

  function abort(): void {
    stop(new AbortError('Call aborted', { cause: signal?.reason }));
  }

  function setTimer(ms: number): void {
    clearTimeout(timer);
    firesAt = performance.now() + ms;
    // setTimeout fires at once for more.
    timer = setTimeout(check, Math.min(ms, 2_147_483_647));
  }

  function check(): void {
    firesAt = undefined;
    if (!expiresAt) return;
    const left = expiresAt - performance.now();
    if (left > 0 || !isLate) {
      // After a blocked event loop or a sleeping laptop timers run before input is read: it may be there, so
      // what is late gets one more turn.
      isLate = left <= 0;
      setTimer(Math.max(1, left));
      return;
    }
    cut(new TimeoutError(`Too late: ${limited}`, { code: limited, isRetryable: true }));
  }

  function cut(error: HuoziError): void {
    connection?.abort();
    interrupt?.(error);
  }

  function limit(onEnd: (error: unknown) => void, deadline: keyof Deadlines, ms = deadlines[deadline]): void {
    if (stopped) throw stopped;
    interrupt = onEnd;
    limited = deadline;
    isLate = false;
    expiresAt = ms > 0 ? performance.now() + ms : 0;
    if (expiresAt && !(firesAt! <= expiresAt)) setTimer(ms);
  }

  /** Waits for `promise`, `ms` at most (0: as long as it takes); past that the connection is closed. */
  async function wait<T>(promise: Promise<T>, deadline: keyof Deadlines, ms?: number): Promise<T> {
    try {
      return await new Promise<T>((resolve, reject) => {
        promise.then(resolve, reject);
        limit(reject, deadline, ms);
      });
    } finally {
      expiresAt = 0;
    }
  }

  async function backOff(failure: HuoziError): Promise<void> {
    const delay = retryDelay(failure, call.tries, maxRetries, maxRetryAfter, Math.random);
    if (stopped || delay === undefined) throw failure;
    await new Promise<void>((resolve, reject) => {
      // 0 would be no limit. The deadline that passes here is the end of the pause.
      limit((reason) => (stopped ? reject(reason) : resolve()), 'connect', delay || 1);
    });
  }

  /** Tries until `use` has what it wants of a 2xx. */
  async function until<T>(use: (response: Response) => T | Promise<T>): Promise<T> {
    try {
      for (;;) {
        if (stopped) throw stopped;
        // Outside of the inner try: what your own function throws is yours, and no reason to try again.
        await authorize();
        try {
          return await use(await tryOnce());
        } catch (cause) {
          await backOff(asFailure(cause));
        }
      }
    } catch (error) {
      settle();
      throw error;
    }
  }

  async function authorize(): Promise<void> {
    const given = typeof apiKey === 'string' ? apiKey : await wait(Promise.resolve(apiKey()), 'connect', 0);
    const key = `${given}`.trim();
    // Headers would throw, too, but with the key in its message.
    if (!/^[!-~]+$/.test(key)) throw new HuoziError('apiKey is no header value');
    headers.set('authorization', `Bearer ${key}`);
  }

  async function tryOnce(): Promise<Response> {
    call.tries++;
    connection?.abort();
    connection = new AbortController();
    const response = await wait(send(path, { ...request, signal: connection.signal }), headersWithin);
    call.stream ??= response.headers.get('x-huozi-stream')?.slice(3);
    if (response.ok) return response;
    throw errorFromBody(parse(await textOf(response)), response.headers, response.status);
  }

  async function send(path: string, init: RequestInit): Promise<Response> {
    return fetch(settings.baseURL + path, init);
  }

  async function textOf({ body }: Response): Promise<string> {
    const reader = body?.getReader();
    const decoder = new TextDecoder();
    let text = '';
    // Of a body that is no stream the rest is not read, characters.
    while (reader && text.length < 16_777_216) {
      const { done, value } = await wait(reader.read(), 'idle');
      if (done) return text + decoder.decode();
      text += decoder.decode(value, { stream: true });
    }
    connection?.abort();
    return text;
  }

  const call: Call = {
    tries: 0,
    onStop: undefined,
    stream: undefined,
    onResume: options.onResume,
    open(after) {
      if (after) {
        path = `${call.stream}?after=${after}`;
        request = { headers };
      }
      return until((response) => response);
    },
    async json() {
      const value = await until(async (response) => {
        const value = parse(await textOf(response));
        if (Object(value) !== value) throw foreignAnswer('JSON', response.headers);
        // An edge that failed after it had to send its headers can only say so in the body.
        if ((value as { error?: unknown }).error) throw errorFromBody(value, response.headers);
        return Object.defineProperty(value as object, '_request_id', {
          value: requestIdOf(response.headers),
        });
      });
      settle();
      return value;
    },
    limit,
    backOff,
    stop,
    abort,
    settle,
  };
  if (signal?.aborted) abort();
  else signal?.addEventListener('abort', abort);
  return call;
}

/** What `fetch` and its bodies reject with differs by runtime, and only means: the connection is lost. */
export function asFailure(cause: unknown): HuoziError {
  if (HuoziError.isInstance(cause)) return cause;
  return new ConnectionError(`Connection failed: ${Object(cause).message}`, { isRetryable: true, cause });
}

/** Somebody else answered: a proxy's page, another server. */
export function foreignAnswer(wanted: string, headers: Headers): ProtocolError {
  const message = `baseURL gives ${headers.get('content-type')}, not ${wanted}`;
  return new ProtocolError(message, { requestId: requestIdOf(headers) });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** 128 random bits. `crypto.randomUUID` is missing on pages that came over plain HTTP. */
function randomKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}
