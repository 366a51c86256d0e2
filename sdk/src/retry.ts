/** Which failures are worth another try, and how long to wait: pure functions, tested as tables. */

/** Width of the first jitter window, ms; it doubles with each try. */
const firstWindow = 500;
const widestWindow = 8000;

/** `x-should-retry` is the server's own word and beats the status. */
export function isRetryableStatus(status: number, shouldRetry?: string | null): boolean {
  if (shouldRetry) return shouldRetry === 'true';
  // A 501 stays what it is; a 409 here is another body under the same idempotency key.
  return status === 408 || status === 429 || (status >= 500 && status !== 501);
}

/** What `Retry-After` (seconds or a date) asks for, in seconds; undefined when absent or unreadable. */
export function retryAfterSeconds(headers: Headers, now: number = Date.now()): number | undefined {
  const value = headers.get('retry-after');
  // As a date 0 is long past, so that it stays 0.
  const seconds = Math.max(0, Number(value) || (Date.parse(value!) - now) / 1000);
  return seconds >= 0 ? seconds : undefined;
}

/**
 * Milliseconds until the next try; undefined means: give up, throw the failure.
 *
 * Full jitter (anywhere in a doubling window), on top of what the server asked for, so that clients that were
 * sent away together do not come back together.
 *
 * @param tries made so far, at least 1
 * @param maxRetries tries after the first one
 * @param maxRetryAfter longest `Retry-After` that is waited for, seconds
 * @param random in [0, 1)
 */
export function retryDelay(
  failure: { isRetryable: boolean; retryAfter: number | undefined },
  tries: number,
  maxRetries: number,
  maxRetryAfter: number,
  random: () => number,
): number | undefined {
  const asked = failure.retryAfter ?? 0;
  if (!failure.isRetryable || tries > maxRetries || asked > maxRetryAfter) return undefined;
  return asked * 1000 + random() * Math.min(widestWindow, firstWindow * 2 ** (tries - 1));
}
