/** GETs that survive what networks do: retries with full jitter, `Retry-After` heeded. */
import { setTimeout as sleep } from 'node:timers/promises';
import { FileToolError } from './errors.ts';

export interface HttpOptions {
  headers: Record<string, string>;
  /** The environment variable to name when the server wants to know who we are. */
  tokenVariable: string;
  signal: AbortSignal;
  /** Tries in a row that may fail. */
  tries: number;
  /** Before the second try at most this, then twice as much each time, ms. */
  firstDelayMs: number;
  /** Silence after which a connection counts as dead, ms. */
  idleMs: number;
}

export const httpDefaults = { tries: 6, firstDelayMs: 500, idleMs: 60_000 };

const longestDelayMs = 30_000;
/** Above this a hub's `Retry-After` ends the run: a person should know. */
const longestRetryAfterMs = 300_000;

/** A failure that another try may cure. */
export class TransientError extends Error {
  override name = 'TransientError';
  /** What the server asked us to wait, ms. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, { retryAfterMs, cause }: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, { cause });
    this.retryAfterMs = retryAfterMs;
  }
}

export interface TextResponse {
  headers: Headers;
  text: string;
}

/** @throws FileToolError beginning with the URL, when it is no use to go on */
export async function requestText(url: string, options: HttpOptions): Promise<TextResponse> {
  return retrying(url, options, async () => {
    const response = await requestOnce(url, options);
    const text = await response.text().catch((error: unknown) => {
      options.signal.throwIfAborted();
      throw new TransientError(`the connection broke (${networkReason(error)})`, { cause: error });
    });
    return { headers: response.headers, text };
  });
}

/** Runs `attempt` until it settles, fails for good, or has failed `tries` times in a row without progress. */
export async function retrying<T>(
  subject: string,
  { tries, firstDelayMs, signal }: HttpOptions,
  attempt: () => Promise<T>,
  hasProgressed: () => boolean = () => false,
): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      failures = hasProgressed() ? 1 : failures + 1;
      if (failures >= tries) {
        throw new FileToolError(subject, `${error.message}, ${failures} times in a row`, { cause: error });
      }
      const backoff = Math.random() * Math.min(longestDelayMs, firstDelayMs * 2 ** (failures - 1));
      await sleep(error.retryAfterMs ?? backoff, undefined, { signal });
    }
  }
}

/** @throws TransientError when another try may help, FileToolError when not */
export async function requestOnce(
  url: string,
  { headers, tokenVariable, signal, idleMs }: HttpOptions,
  extraHeaders: Record<string, string> = {},
  accept: readonly number[] = [],
): Promise<Response> {
  let response: Response;
  // Only until the headers are here: AbortSignal.timeout would cut the body as well.
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error('no answer')), idleMs);
  try {
    response = await fetch(url, {
      // Compressed on the way, a range would not mean the file's bytes.
      headers: { ...headers, ...extraHeaders, 'accept-encoding': 'identity' },
      signal: AbortSignal.any([signal, silence.signal]),
    });
  } catch (error) {
    signal.throwIfAborted();
    throw new TransientError(networkReason(error), { cause: error });
  } finally {
    clearTimeout(timer);
  }
  const { status } = response;
  if (response.ok || accept.includes(status)) return response;
  await response.body?.cancel();
  if (status === 401 || status === 403) {
    const hint = headers.authorization
      ? 'the token does not open it'
      : `set ${tokenVariable} if it needs a token`;
    throw new FileToolError(url, `the hub refuses (${status}): ${hint}`);
  }
  if (status === 404) throw new FileToolError(url, 'not found (404): check repository, revision and file');
  if (status !== 408 && status !== 425 && status !== 429 && status < 500) {
    throw new FileToolError(url, `the hub answers ${status}`);
  }
  const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'));
  if (retryAfterMs !== undefined && retryAfterMs > longestRetryAfterMs) {
    throw new FileToolError(
      url,
      `the hub answers ${status} and wants us back in ${Math.ceil(retryAfterMs / 60_000)} min`,
    );
  }
  throw new TransientError(`the hub answers ${status}`, retryAfterMs === undefined ? {} : { retryAfterMs });
}

/** Seconds or an HTTP date → ms. */
function parseRetryAfter(value: string | null): number | undefined {
  if (!value) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** fetch says "fetch failed" and hides why in its causes. */
export function networkReason(error: unknown): string {
  const { cause, message } = error as Error;
  const { code, message: inner } = (cause ?? {}) as NodeJS.ErrnoException;
  return code ?? inner ?? message;
}
