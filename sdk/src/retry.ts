/** Which failures are worth another try, and how long to wait: pure functions, tested as tables. */

export interface RetryPolicy {
  /** Tries after the first one. */
  maxRetries: number;
  /** Longest `Retry-After` that is waited for, seconds. */
  maxRetryAfter: number;
}

/** Width of the first jitter window, ms; it doubles with each try. */
const firstWindow = 500;
const widestWindow = 8000;

/** `x-should-retry` is the server's own word and beats the status. */
export function isRetryableStatus(status: number, shouldRetry?: string | null): boolean {
  if (shouldRetry === 'true') return true;
  if (shouldRetry === 'false') return false;
  // 501 and 505 stay what they are; a 409 here is another body under the same idempotency key.
  if (status >= 500) return status !== 501 && status !== 505;
  return status === 408 || status === 425 || status === 429;
}

/**
 * What `retry-after-ms` or `Retry-After` (seconds or a date) asks for, in seconds.
 * Undefined when absent or unreadable.
 */
export function retryAfterSeconds(headers: Headers, now: number = Date.now()): number | undefined {
  const ms = headers.get('retry-after-ms');
  const value = headers.get('retry-after');
  const seconds = ms ? Number(ms) / 1000 : value ? Number(value) : Number.NaN;
  if (seconds >= 0) return seconds;
  // Only what holds a month's name is a date: V8 reads "-5" as one, too.
  const date = value && /[a-z]{3}/i.test(value) ? Date.parse(value) : Number.NaN;
  return date >= 0 ? Math.max(0, (date - now) / 1000) : undefined;
}

/**
 * Milliseconds until the next try; undefined means: give up, throw the failure.
 *
 * Full jitter (anywhere in a doubling window), on top of what the server asked for, so that clients that were
 * sent away together do not come back together.
 *
 * @param tries made so far, at least 1
 * @param random in [0, 1)
 */
export function retryDelay(
  failure: { isRetryable: boolean; retryAfter: number | undefined },
  tries: number,
  { maxRetries, maxRetryAfter }: RetryPolicy,
  random: () => number,
): number | undefined {
  const asked = failure.retryAfter ?? 0;
  if (!failure.isRetryable || tries > maxRetries || asked > maxRetryAfter) return undefined;
  return asked * 1000 + random() * Math.min(widestWindow, firstWindow * 2 ** (tries - 1));
}
