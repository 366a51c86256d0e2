/** From a method's arguments to a {@link Call}: merges what the client and the call were given. */
import { Call, type CallPlan, type Deadlines } from './call.ts';
import type { HuoziStream } from './stream.ts';

/**
 * For one call, as the second argument of every method.
 *
 * @example
 * await huozi.chat.completions.create(body, { signal: AbortSignal.timeout(60_000), maxRetries: 0 });
 */
export interface RequestOptions {
  /** Ends the call at any time: in a queue, between tries, mid-stream. */
  signal?: AbortSignal | null | undefined;
  /** Those that are absent are the client's. */
  deadlines?: Partial<Deadlines> | undefined;
  maxRetries?: number | undefined;
  /** Yours, where a call must be made once across restarts of your own program. Default: random, one a call. */
  idempotencyKey?: string | undefined;
  headers?: HeadersInit | undefined;
}

/**
 * An answer that remembers its request's id, as openai's do. Not enumerable, so it stays out of JSON.
 *
 * @example
 * const completion = await huozi.chat.completions.create(body);
 * log(completion._request_id);
 */
export type WithRequestId<T> = T & { readonly _request_id?: string };

export interface ClientSettings {
  baseURL: string;
  apiKey: () => string | Promise<string>;
  fetch: typeof fetch;
  headers: HeadersInit | undefined;
  deadlines: Deadlines;
  maxRetries: number;
  maxRetryAfter: number;
}

type StreamBody = { stream_options?: unknown };

export class Requester {
  #settings: ClientSettings;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

  async json<T extends object>(
    path: string,
    body?: object,
    options?: RequestOptions,
  ): Promise<WithRequestId<T>> {
    const call = this.#call(path, body, options, body ? 'firstToken' : 'connect');
    const { value, headers } = await call.json();
    return Object.defineProperty(value as T, '_request_id', {
      value: headers.get('x-request-id') ?? undefined,
    });
  }

  async stream<S>(
    path: string,
    body: StreamBody,
    kind: new (...args: ConstructorParameters<typeof HuoziStream>) => S,
    options?: RequestOptions,
  ): Promise<S> {
    // Usage is asked for unless the caller spoke of it; the chunk that carries it is then kept from the caller,
    // whose loop may well count on choices.
    const hidesUsage = body.stream_options === undefined;
    const asked = hidesUsage ? { ...body, stream_options: { include_usage: true } } : body;
    const call = this.#call(path, asked, options, 'connect');
    return new kind(call, await call.open(), hidesUsage);
  }

  #call(
    path: string,
    body: object | undefined,
    options: RequestOptions = {},
    headersWithin: CallPlan['headersWithin'],
  ): Call {
    const { baseURL, apiKey, fetch, deadlines, maxRetries, maxRetryAfter } = this.#settings;
    const headers = new Headers(this.#settings.headers);
    for (const [name, value] of new Headers(options.headers)) headers.set(name, value);
    if (body) {
      headers.set('content-type', 'application/json');
      // Minted here and not in a try: all tries of a call are one call to the server.
      headers.set('idempotency-key', options.idempotencyKey ?? randomKey());
    }
    return new Call({
      url: baseURL + path,
      fetch,
      apiKey,
      headers,
      body: body && JSON.stringify(body),
      deadlines: { ...deadlines, ...options.deadlines },
      headersWithin,
      signal: options.signal ?? undefined,
      maxRetries: options.maxRetries ?? maxRetries,
      maxRetryAfter,
    });
  }
}

/** 128 random bits. `crypto.randomUUID` is missing on pages that came over plain HTTP. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}
