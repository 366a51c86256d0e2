/**
 * A node that fails again and again gets nothing for a while, then one request as a probe. Plain data and pure
 * functions: an isolate keeps one breaker a node.
 */

export interface Breaker {
  /** Failures in a row. */
  readonly failures: number;
  /** Milliseconds since 1970; nothing goes there before. 0: closed. */
  readonly openUntil: number;
  /** When a probe was sent, 0 when none is under way. */
  readonly probedAt: number;
}

export const closed: Breaker = { failures: 0, openUntil: 0, probedAt: 0 };

/** One failure may be the request's own bad luck. */
const tolerated = 2;
const firstPauseMs = 1_000;
const longestPauseMs = 30_000;
/** A probe that nobody reported on (its worker was evicted) counts as failed after so long. */
const probeMs = 20_000;

export type BreakerState = 'closed' | 'open' | 'half-open';

/** half-open: one request may try. */
export function stateOf({ openUntil, probedAt }: Breaker, now: number): BreakerState {
  if (openUntil === 0) return 'closed';
  if (now < openUntil) return 'open';
  return probedAt !== 0 && now < probedAt + probeMs ? 'open' : 'half-open';
}

/** To be called when a request goes to a half-open node. */
export function probing(breaker: Breaker, now: number): Breaker {
  return { ...breaker, probedAt: now };
}

/** @param random in [0, 1): spreads the probes of many isolates over the second half of the pause */
export function failed(breaker: Breaker, now: number, random: number): Breaker {
  const failures = breaker.failures + 1;
  if (failures <= tolerated) return { failures, openUntil: 0, probedAt: 0 };
  const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - tolerated - 1));
  return { failures, openUntil: now + pause * (0.5 + random / 2), probedAt: 0 };
}
