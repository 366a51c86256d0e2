/** Everything that the SDK throws, as classes that carry data. Nothing here holds a key or a request body. */
import { isRetryableStatus, retryAfterSeconds } from './retry.ts';

/** Found through the global registry, so that two copies of this package know each other's errors. */
const mark = Symbol.for('huozi.error');

export interface ErrorData {
  status?: number | undefined;
  type?: string | undefined;
  code?: string | null | undefined;
  param?: string | null | undefined;
  requestId?: string | undefined;
  retryAfter?: number | undefined;
  isRetryable?: boolean | undefined;
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
  readonly status: number | undefined;
  /** The server's `error.type`, or the SDK's own, as `timeout_error`. */
  readonly type: string;
  /** The server's `error.code`; for a {@link TimeoutError} the deadline that passed. */
  readonly code: string | null;
  /** The field of the request that was wrong. */
  readonly param: string | null;
  /** `x-request-id` of the answer. */
  readonly requestId: string | undefined;
  /** What the server asked to wait, seconds. */
  readonly retryAfter: number | undefined;
  /** The same call may succeed later. What is safe to repeat was already repeated. */
  readonly isRetryable: boolean;

  constructor(message: string, data: ErrorData = {}) {
    super(message, 'cause' in data ? { cause: data.cause } : undefined);
    this.name = new.target.name;
    Object.defineProperty(this, mark, { value: true });
    this.status = data.status;
    this.type = data.type ?? 'invalid_use';
    this.code = data.code ?? null;
    this.param = data.param ?? null;
    this.requestId = data.requestId;
    this.retryAfter = data.retryAfter;
    this.isRetryable = data.isRetryable ?? false;
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
    if (typeof value !== 'object' || value === null || !(mark in value)) return false;
    // biome-ignore lint/complexity/noThisInStatic: the class that it is called on is the question
    const { name } = this;
    return name === 'HuoziError' || name === (value as unknown as HuoziError).name;
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

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);

/**
 * The error that an answer's body describes, whatever it holds.
 *
 * @param status undefined for an error inside a stream, whose 200 says nothing
 */
export function errorFromBody(body: unknown, headers: Headers, status?: number): HuoziError {
  const envelope = (typeof body === 'object' && body !== null ? body : {}) as { error?: unknown } & WireError;
  const wire = (typeof envelope.error === 'object' && envelope.error) || (envelope as WireError);
  const { message, type, code, param } = wire as WireError;
  // Inside a stream only the body can tell whose fault it was: some servers put the status into `code`.
  const told = status ?? (typeof code === 'number' ? code : statusOfType[text(type) ?? '']);
  const kind = told === 429 ? RateLimitError : told && told >= 400 && told < 500 ? RequestError : ServerError;
  const inStream = status === undefined;
  return new kind(
    text(message) ?? text(envelope.error) ?? (status ? `The server answered ${status}` : 'The stream failed'),
    {
      status,
      type: text(type) ?? 'api_error',
      code: code == null ? null : String(code),
      param: text(param),
      requestId: headers.get('x-request-id') ?? undefined,
      retryAfter: inStream ? undefined : retryAfterSeconds(headers),
      isRetryable: isRetryableStatus(told ?? 500, inStream ? null : headers.get('x-should-retry')),
    },
  );
}

const statusOfType: Record<string, number | undefined> = {
  invalid_request_error: 400,
  authentication_error: 401,
  permission_error: 403,
  rate_limit_error: 429,
};
