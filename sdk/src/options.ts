/** What a client and a call are given. */
import type { HuoziError } from './errors.ts';

/**
 * Milliseconds; 0 is off.
 *
 * @example
 * const deadlines: Partial<Deadlines> = { connect: 5_000, idle: 20_000, firstToken: 0 };
 * await huozi.chat.completions.create(body, { deadlines });
 */
export interface Deadlines {
  /**
   * Until the answer's headers. Not applied to an answer that is not streamed: its headers come with the whole
   * of it, so `firstToken` bounds that wait.
   * @default 30_000
   */
  connect: number;
  /**
   * From the headers until the first token; a role that comes alone begins it anew.
   * @default 300_000
   */
  firstToken: number;
  /**
   * Longest wait for the next event once tokens flow. A server that only sends keep-alives is stalled, too; the
   * time that you take with a chunk is not counted.
   * @default 60_000
   */
  idle: number;
}

/** Of a client, for all its calls. */
export interface ClientSettings {
  /** Tries after the first one. */
  maxRetries: number;
  /** Longest `Retry-After` that is waited for, seconds. */
  maxRetryAfter: number;
  /** Up to `/v1`. */
  baseURL: string;
  apiKey: string | (() => string | Promise<string>);
  fetch?: typeof fetch | undefined;
  defaultHeaders?: HeadersInit | undefined;
  deadlines: Deadlines;
}

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
  /**
   * Called when a stream that was cut goes on, with what had cut it. Nothing was lost, and nothing comes twice.
   *
   * @example
   * await huozi.chat.completions.create(body, { onResume: (failure) => log('resumed after', failure.message) });
   */
  onResume?: ((failure: HuoziError) => void) | undefined;
}
