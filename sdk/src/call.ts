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
import type { ClientSettings, Deadlines } from './options.ts';
import type { CallOptions } from './requester.ts';
import { retryDelay } from './retry.ts';

/** setTimeout fires at once for more. */
const longestTimer = 2 ** 31 - 1;
/** Of a body that is no stream; the rest is not read, characters. */
const longestBody = 2 ** 24;

export interface Call {
  /** Told once, when the call is stopped. */
  onStop: ((error: HuoziError) => void) | undefined;
  /** The first 2xx, its body unread. The caller reads it within {@link limit} and settles the call. */
  open(): Promise<Response>;
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
  /** Resolves when it is time for another try; rejects with `failure` when there is none to make. */
  backOff(failure: HuoziError): Promise<void>;
  /** Closes the connection and rejects the present wait and every later one. */
  stop(error: HuoziError): void;
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
  for (const [name, value] of new Headers(options.headers)) headers.set(name, value);
  if (body) {
    headers.set('content-type', 'application/json');
    // Here and not in a try: all tries of a call are one call to the server.
    headers.set('idempotency-key', idempotencyKey);
  }
  const request = { method, headers, body: body && JSON.stringify(body) } as RequestInit;

  let tries = 0;
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
    stopped ??= error;
    cut(error);
    settle();
    call.onStop?.(error);
  }

  function settle(): void {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }

  function onAbort(): void {
    stop(new AbortError('The call was aborted', { cause: signal?.reason }));
  }

  function setTimer(ms: number): void {
    clearTimeout(timer);
    firesAt = performance.now() + ms;
    timer = setTimeout(check, Math.min(ms, longestTimer));
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
    const delay = retryDelay(failure, tries, { maxRetries, maxRetryAfter }, Math.random);
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
    const key = typeof apiKey === 'string' ? apiKey : await wait(Promise.resolve(apiKey()), 'connect', 0);
    // Headers would throw, too, but with the key in its message.
    if (!/^\s*[\x21-\x7e]+\s*$/.test(key)) throw new HuoziError('apiKey does not fit into a header');
    headers.set('authorization', `Bearer ${key.trim()}`);
  }

  async function tryOnce(): Promise<Response> {
    tries++;
    connection?.abort();
    connection = new AbortController();
    const trying = fetch(settings.baseURL + path, { ...request, signal: connection.signal });
    const response = await wait(trying, headersWithin);
    if (response.ok) return response;
    throw errorFromBody(parse(await textOf(response)), response.headers, response.status);
  }

  async function textOf({ body }: Response): Promise<string> {
    const reader = body?.getReader();
    const decoder = new TextDecoder();
    let text = '';
    while (reader && text.length < longestBody) {
      const { done, value } = await wait(reader.read(), 'idle');
      if (done) return text + decoder.decode();
      text += decoder.decode(value, { stream: true });
    }
    connection?.abort();
    return text;
  }

  const call: Call = {
    onStop: undefined,
    open: () => until((response) => response),
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
    settle,
  };
  if (signal?.aborted) onAbort();
  else signal?.addEventListener('abort', onAbort);
  return call;
}

/** What `fetch` and its bodies reject with differs by runtime, and only means: the connection is lost. */
export function asFailure(cause: unknown): HuoziError {
  if (HuoziError.isInstance(cause)) return cause;
  return new ConnectionError(`The connection failed: ${Object(cause).message}`, { isRetryable: true, cause });
}

/** Somebody else answered: a proxy's page, another server. */
export function foreignAnswer(wanted: string, headers: Headers): ProtocolError {
  const message = `The answer is ${headers.get('content-type')}, not ${wanted}; is baseURL right?`;
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
