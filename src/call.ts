import type { Env } from './env.ts';
import type { Kept } from './kept.ts';
import type { ServerTiming } from './server-timing.ts';
import type { Trace } from './trace.ts';

/** One request of a client, as far as the steps after the key check need to know it. */
export interface Call {
  env: Env;
  requestId: string;
  keyId: string;
  /** What its object recognises the key by. */
  keyHash: string;
  /** Go out with the response, whatever it will be. */
  responseHeaders: Record<string, string>;
  timing: ServerTiming;
  trace: Trace;
  /** Milliseconds since 1970. */
  startedAt: number;
  /** Aborts when the client is known to have left, or with an EdgeError when the answer must end for another reason. */
  client: AbortSignal;
  /** For an answer that outlives its client's connection: takes what the client would get. */
  kept?: Kept;
  /** Keeps the worker alive for `work` after the answer has ended. */
  waitUntil(work: Promise<unknown>): void;
}
