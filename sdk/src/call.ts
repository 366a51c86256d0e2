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
import { retryDelay } from './retry.ts';

/** setTimeout fires at once for more. */
const longestTimer = 2 ** 31 - 1;
/** Of an error's body; the rest is not read, characters. */
const longestErrorBody = 65_536;

export interface Call {
  readonly deadlines: Deadlines;
  /** Told once, when the call is stopped. */
  onStop: ((error: HuoziError) => void) | undefined;
  /** The first 2xx, its body unread. The caller reads it through {@link wait} and settles the call. */
  open(): Promise<Response>;
  /** The first 2xx's body, read whole; one that breaks off is worth another try. The call is over then. */
  json(): Promise<{ value: unknown; headers: Headers }>;
  /** Waits for `promise`, `ms` at most (0: as long as it takes); past that the connection is closed. */
  wait<T>(promise: Promise<T>, ms: number, deadline: keyof Deadlines): Promise<T>;
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
  options: RequestOptions = {},
  headersWithin: 'connect' | 'firstToken' = 'connect',
): Call {
  const { signal, maxRetries = settings.maxRetries, idempotencyKey = randomKey() } = options;
  const { fetch = globalThis.fetch, apiKey, maxRetryAfter } = settings;
  const deadlines = { ...settings.deadlines, ...options.deadlines };
  const headers = new Headers(settings.defaultHeaders);
  for (const [name, value] of new Headers(options.headers)) headers.set(name, value);
  if (body) {
    headers.set('content-type', 'application/json');
    // Here and not in a try: all tries of a call are one call to the server.
    headers.set('idempotency-key', idempotencyKey);
  }
  const request = { method: body ? 'POST' : 'GET', headers, body: body ? JSON.stringify(body) : null };

  let tries = 0;
  /** Closes the connection of the present try. */
  let connection: AbortController | undefined;
  /** Rejects the present wait. */
  let interrupt: ((error: HuoziError) => void) | undefined;
  let stopped: HuoziError | undefined;

  function stop(error: HuoziError): void {
    stopped ??= error;
    connection?.abort();
    interrupt?.(error);
    settle();
    call.onStop?.(error);
  }

  function settle(): void {
    signal?.removeEventListener('abort', onAbort);
  }

  function onAbort(): void {
    stop(new AbortError('The call was aborted', { cause: signal?.reason }));
  }

  function wait<T>(promise: Promise<T>, ms: number, deadline?: keyof Deadlines): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const fail = (cause: unknown) => {
        clearTimeout(timer);
        reject(cause);
      };
      const expire = () => {
        // Without a deadline to pass, this was only a pause.
        if (!deadline) return resolve(undefined as T);
        connection?.abort();
        fail(new TimeoutError(`Too late: ${deadline}`, { code: deadline, isRetryable: true }));
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
      interrupt = fail;
      if (stopped) fail(stopped);
    });
  }

  async function backOff(failure: HuoziError): Promise<void> {
    const delay = retryDelay(failure, tries, { maxRetries, maxRetryAfter }, Math.random);
    if (stopped || delay === undefined) throw failure;
    // 0 would be no limit, on a promise that nobody keeps.
    await wait(new Promise(() => {}), delay || 1);
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
    const key = typeof apiKey === 'string' ? apiKey : await wait(Promise.resolve(apiKey()), 0, 'connect');
    // Headers would throw, too, but with the key in its message.
    if (!/^\s*[\x21-\x7e]+\s*$/.test(key)) throw new HuoziError('apiKey does not fit into a header');
    headers.set('authorization', `Bearer ${key.trim()}`);
  }

  async function tryOnce(): Promise<Response> {
    tries++;
    connection?.abort();
    connection = new AbortController();
    const trying = fetch(settings.baseURL + path, { ...request, signal: connection.signal });
    const response = await wait(trying, deadlines[headersWithin], headersWithin);
    if (response.ok) return response;
    throw errorFromBody(parse(await textOf(response, longestErrorBody)), response.headers, response.status);
  }

  /** Reads `limit` characters or a little more, then closes the connection. */
  async function textOf({ body }: Response, limit = Number.POSITIVE_INFINITY): Promise<string> {
    const reader = body?.getReader();
    const decoder = new TextDecoder();
    let text = '';
    while (reader && text.length < limit) {
      const { done, value } = await wait(reader.read(), deadlines.idle, 'idle');
      if (done) return text + decoder.decode();
      text += decoder.decode(value, { stream: true });
    }
    connection?.abort();
    return text;
  }

  const call: Call = {
    deadlines,
    onStop: undefined,
    open: () => until((response) => response),
    async json() {
      const answer = await until(async (response) => {
        const { headers } = response;
        const value = parse(await textOf(response));
        if (value === undefined) throw foreignAnswer('JSON', headers);
        return { value, headers };
      });
      settle();
      return answer;
    },
    wait,
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
