/** Everything that the SDK throws, as classes that carry data. Nothing here holds a key or a request body. */
import { isRetryableStatus, retryAfterSeconds } from './retry.ts';

/** Found through the global registry, so that two copies of this package know each other's errors. */
const mark = Symbol.for('huozi.error');

export interface ErrorData {
  status?: number | undefined;
  type?: string;
  code?: string | null;
  param?: string | null;
  requestId?: string | undefined;
  retryAfter?: number | undefined;
  isRetryable?: boolean;
  cause?: unknown;
}

/**
 * The parent of all errors here; thrown itself only for wrong use of the SDK.
 *
 * @example
 * try {
 *   await huozi.models.list();
 * } catch (error) {
 *   if (HuoziError.isInstance(error)) report(error.type, error.status, error.requestId);
 *   else throw error;
 * }
 */
export class HuoziError extends Error {
  // A field of its own: minifiers rename classes.
  static override readonly name: string = 'HuoziError';

  /** HTTP status; undefined where no answer carried one. */
  declare readonly status: number | undefined;
  /** The server's `error.type`, or the class in the server's spelling, as `timeout_error`. */
  declare readonly type: string;
  /** The server's `error.code`; for a {@link TimeoutError} the deadline that passed. */
  declare readonly code: string | null;
  /** The field of the request that was wrong. */
  declare readonly param: string | null;
  /** `x-request-id` of the answer. */
  declare readonly requestId: string | undefined;
  /** What the server asked to wait, seconds. */
  declare readonly retryAfter: number | undefined;
  /** The same call may succeed later. What is safe to repeat was already repeated. */
  declare readonly isRetryable: boolean;

  constructor(message: string, data: ErrorData = {}) {
    super(message, data);
    const { name } = new.target;
    const type = name.replace(/\B(?=[A-Z])/g, '_').toLowerCase();
    Object.assign(this, { type, code: null, param: null, isRetryable: false, ...data, name });
  }

  get [mark](): true {
    return true;
  }

  /**
   * `instanceof` that also works across copies of this package.
   *
   * @example
   * if (RateLimitError.isInstance(error)) await sleep((error.retryAfter ?? 1) * 1000);
   */
  static isInstance<T extends HuoziError>(
    this: { prototype: T; readonly name: string },
    value: unknown,
  ): value is T {
    // biome-ignore lint/complexity/noThisInStatic: the class that it is called on is the question
    const { name } = this;
    const error = Object(value) as HuoziError;
    return !!error[mark] && (name === 'HuoziError' || name === error.name);
  }
}

/**
 * A 4xx: the request must change, or the key (401, 403).
 *
 * @example
 * if (RequestError.isInstance(error) && error.status === 401) askForKey();
 */
export class RequestError extends HuoziError {
  static override readonly name: string = 'RequestError';
}

/**
 * A 429. `retryAfter` says how long to wait, in seconds.
 *
 * @example
 * if (RateLimitError.isInstance(error)) showWait(error.retryAfter);
 */
export class RateLimitError extends HuoziError {
  static override readonly name: string = 'RateLimitError';
}

/**
 * A 5xx, or an error that the server wrote into a running stream (then without `status`).
 *
 * @example
 * if (ServerError.isInstance(error)) console.error(error.code, error.requestId);
 */
export class ServerError extends HuoziError {
  static override readonly name: string = 'ServerError';
}

/**
 * No connection, or it broke before the answer's end; `cause` is what the runtime threw.
 *
 * @example
 * if (ConnectionError.isInstance(error)) showOffline();
 */
export class ConnectionError extends HuoziError {
  static override readonly name: string = 'ConnectionError';
}

/**
 * A deadline passed; `code` says which: `connect`, `firstToken` or `idle`.
 *
 * @example
 * if (TimeoutError.isInstance(error) && error.code === 'idle') showStalled();
 */
export class TimeoutError extends HuoziError {
  static override readonly name: string = 'TimeoutError';
}

/**
 * The answer ended before its end was said: no `finish_reason` came. What did come is in `stream.snapshot`.
 *
 * @example
 * if (TruncatedError.isInstance(error)) offerRetry(stream.snapshot);
 */
export class TruncatedError extends HuoziError {
  static override readonly name: string = 'TruncatedError';
}

/**
 * The answer is not what this API speaks: broken JSON, another content type.
 *
 * @example
 * if (ProtocolError.isInstance(error)) console.error('is baseURL right?', error.message);
 */
export class ProtocolError extends HuoziError {
  static override readonly name: string = 'ProtocolError';
}

/**
 * You stopped the call; `cause` is the signal's reason.
 *
 * @example
 * if (AbortError.isInstance(error)) return;
 */
export class AbortError extends HuoziError {
  static override readonly name: string = 'AbortError';
}

/** OpenAI's error shape; vLLM's older one lacks the envelope. */
interface WireError {
  message?: unknown;
  type?: unknown;
  code?: unknown;
  param?: unknown;
}

const text = (value: unknown) => (typeof value === 'string' && value ? value : undefined);

/** What to name when asking the operator. */
export const requestIdOf = (headers: Headers): string | undefined => headers.get('x-request-id') ?? undefined;

/**
 * The error that an answer's body describes, whatever it holds.
 *
 * @param status undefined for an error inside a stream, whose 200 says nothing
 */
export function errorFromBody(body: unknown, headers: Headers, status?: number): HuoziError {
  const envelope = Object(body) as WireError & { error?: unknown };
  const { message, type, code, param } = Object(envelope.error ?? envelope) as WireError;
  // Inside a stream only the body tells whose fault it was; some servers put the status into `code`.
  const told =
    status ??
    (Number(code) >= 400
      ? Number(code)
      : /^(invalid|auth|perm)/.test(`${type}`)
        ? 400
        : /^rate/.test(`${type}`)
          ? 429
          : 500);
  const kind = told === 429 ? RateLimitError : told < 500 ? RequestError : ServerError;
  return new kind(text(message) ?? text(envelope.error) ?? `Server failed: ${told}`, {
    status,
    type: text(type) ?? 'api_error',
    code: code == null ? null : `${code}`,
    param: text(param) ?? null,
    requestId: requestIdOf(headers),
    retryAfter: retryAfterSeconds(headers),
    isRetryable: isRetryableStatus(told, headers.get('x-should-retry')),
  });
}
