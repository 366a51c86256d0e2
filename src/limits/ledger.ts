/**
 * A key's account: what it may still ask for. Pure: no clock, no storage, so that every rule can be tested alone.
 *
 * A request reserves the most that it can use before it is forwarded, and is charged what it did use when it ends.
 * A reservation counts until then, and its charge for a minute after: so all that was generated in any 60 s was
 * counted when the last of it was let in, and streams that run beside each other cannot overspend together.
 *
 * Requests and tokens a minute slide (sliding-window.ts); days and months are the calendar's, in UTC. A lease whose
 * end nobody reports by its time (a worker that was evicted) is charged in full.
 */
import { emptyIn, roomIn, type Spent, spend, spentIn } from './sliding-window.ts';

/** An absent limit is none. */
export interface KeyLimits {
  requests_per_minute?: number | undefined;
  tokens_per_minute?: number | undefined;
  /** Answers under way at the same time. */
  concurrent?: number | undefined;
  tokens_per_day?: number | undefined;
  tokens_per_month?: number | undefined;
}

export interface Lease {
  id: string;
  model: string;
  /** The most that the request can use, prompt and answer. */
  tokens: number;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

/** What outlives the object's memory, beside the leases. */
export interface Spending {
  requests: Spent;
  tokens: Spent;
  day: { of: string; tokens: number };
  month: { of: string; tokens: number };
}

/** One limit as the client is told of it. */
interface Standing {
  limit: number;
  remaining: number;
  /** Milliseconds until all of it is free again, if nothing else is asked. */
  resetMs: number;
}

export interface Standings {
  requests?: Standing;
  tokens?: Standing;
}

export type LimitRefusal =
  | {
      kind: 'rate_limited';
      what: 'requests' | 'tokens' | 'concurrent_requests';
      limit: number;
      /** Of `what`. */
      asked: number;
      /** Seconds; undefined when waiting cannot help. */
      retryAfter: number | undefined;
    }
  | { kind: 'quota_exceeded'; period: 'day' | 'month'; limit: number; asked: number };

/** So long it is remembered that a lease was settled: who did not hear of it settles again, within seconds. */
const settledMs = 60_000;

/** So soon it may be worth trying again where that hangs on when another answer ends. */
const anotherEndsSeconds = 2;

export class Ledger {
  readonly spending: Spending;
  readonly #leases = new Map<string, Lease>();
  /** When the leases that have been settled of late are forgotten, by id, in that order. */
  readonly #settled = new Map<string, number>();
  #reserved = 0;
  /** No lease runs out before. */
  #firstExpiry = Number.POSITIVE_INFINITY;

  constructor(spending?: Spending, leases: Iterable<Lease> = []) {
    this.spending = spending ?? {
      requests: [],
      tokens: [],
      day: { of: '', tokens: 0 },
      month: { of: '', tokens: 0 },
    };
    for (const lease of leases) this.#add(lease);
  }

  get firstExpiry(): number {
    return this.#firstExpiry;
  }

  get underWay(): number {
    return this.#leases.size;
  }

  /**
   * Reserves, or says which limit stands against it and changes nothing. Call `expire` first.
   * Asking again with the id of a lease that runs asks for nothing new.
   */
  acquire(limits: KeyLimits, lease: Lease, now: number): LimitRefusal | undefined {
    if (this.#leases.has(lease.id)) return undefined;
    const refusal = this.#refusal(limits, lease.tokens, now);
    if (refusal) return refusal;
    spend(this.spending.requests, 1, now);
    this.#add(lease);
    return undefined;
  }

  /** Undefined when the lease is not there (any more). */
  renew(id: string, expiresAt: number): Lease | undefined {
    const lease = this.#leases.get(id);
    if (lease) lease.expiresAt = expiresAt;
    return lease;
  }

  /**
   * Charges what was used in the place of what was reserved. A lease that is not known was lost together with the
   * object's memory before it was written down, and is charged all the same; unless it ran out before, because
   * then it was charged in full.
   * @returns false for one that has been settled before, which changes nothing
   */
  settle(lease: Lease, used: number, now: number): boolean {
    for (const [id, until] of this.#settled) {
      if (until > now) break;
      this.#settled.delete(id);
    }
    if (this.#settled.has(lease.id)) return false;
    this.#settled.set(lease.id, now + settledMs);
    const known = this.#remove(lease.id);
    if (known || lease.expiresAt > now) this.#charge(used, now);
    return true;
  }

  /** Charges the leases that ran out in full, and gives them. */
  expire(now: number): Lease[] {
    if (now < this.#firstExpiry) return [];
    const expired = [...this.#leases.values()].filter((lease) => lease.expiresAt <= now);
    for (const lease of expired) {
      this.#remove(lease.id);
      this.#charge(lease.tokens, now);
    }
    this.#firstExpiry = Number.POSITIVE_INFINITY;
    for (const lease of this.#leases.values()) {
      this.#firstExpiry = Math.min(this.#firstExpiry, lease.expiresAt);
    }
    return expired;
  }

  standings(limits: KeyLimits, now: number): Standings {
    const { requests, tokens } = this.spending;
    const { requests_per_minute, tokens_per_minute } = limits;
    return {
      ...(requests_per_minute !== undefined && {
        requests: standing(requests_per_minute, spentIn(requests, now), emptyIn(requests, now)),
      }),
      ...(tokens_per_minute !== undefined && {
        tokens: standing(
          tokens_per_minute,
          spentIn(tokens, now) + this.#reserved,
          // What is reserved now comes back a minute after it ends, at the earliest.
          this.#reserved > 0 ? 61_000 : emptyIn(tokens, now),
        ),
      }),
    };
  }

  #refusal(limits: KeyLimits, asked: number, now: number): LimitRefusal | undefined {
    const { requests, tokens } = this.spending;
    const { requests_per_minute, tokens_per_minute, concurrent, tokens_per_day, tokens_per_month } = limits;
    const excess = (limit: number | undefined, used: number, more: number) =>
      limit === undefined ? 0 : used + more - limit;

    const tooManyRequests = excess(requests_per_minute, spentIn(requests, now), 1);
    if (tooManyRequests > 0) {
      const wait = requests_per_minute === 0 ? undefined : roomIn(requests, tooManyRequests, now);
      return rateLimited('requests', requests_per_minute!, 1, wait);
    }
    if (excess(concurrent, this.#leases.size, 1) > 0) {
      const wait = concurrent === 0 ? undefined : anotherEndsSeconds * 1000;
      return rateLimited('concurrent_requests', concurrent!, 1, wait);
    }
    for (const [period, limit] of [
      ['day', tokens_per_day],
      ['month', tokens_per_month],
    ] as const) {
      if (excess(limit, this.#spentInPeriod(period, now) + this.#reserved, asked) > 0) {
        return { kind: 'quota_exceeded', period, limit: limit!, asked };
      }
    }
    const tooManyTokens = excess(tokens_per_minute, spentIn(tokens, now) + this.#reserved, asked);
    if (tooManyTokens > 0) {
      const possible = asked <= tokens_per_minute!;
      const wait = possible ? this.#tokensIn(tooManyTokens, now) : undefined;
      return rateLimited('tokens', tokens_per_minute!, asked, wait);
    }
    return undefined;
  }

  #tokensIn(room: number, now: number): number {
    const wait = roomIn(this.spending.tokens, room, now) ?? Number.POSITIVE_INFINITY;
    return this.#reserved > 0 ? Math.min(wait, anotherEndsSeconds * 1000) : wait;
  }

  #spentInPeriod(period: 'day' | 'month', now: number): number {
    const count = this.spending[period];
    return count.of === nameOf(period, now) ? count.tokens : 0;
  }

  #charge(tokens: number, now: number): void {
    spentIn(this.spending.tokens, now);
    spend(this.spending.tokens, tokens, now);
    for (const period of ['day', 'month'] as const) {
      this.spending[period] = {
        of: nameOf(period, now),
        tokens: this.#spentInPeriod(period, now) + tokens,
      };
    }
  }

  #add(lease: Lease): void {
    this.#leases.set(lease.id, lease);
    this.#reserved += lease.tokens;
    this.#firstExpiry = Math.min(this.#firstExpiry, lease.expiresAt);
  }

  #remove(id: string): boolean {
    const lease = this.#leases.get(id);
    if (!lease) return false;
    this.#leases.delete(id);
    this.#reserved -= lease.tokens;
    return true;
  }
}

/** `2026-11-24` or `2026-11`. */
function nameOf(period: 'day' | 'month', now: number): string {
  return new Date(now).toISOString().slice(0, period === 'day' ? 10 : 7);
}

function standing(limit: number, used: number, resetMs: number): Standing {
  return { limit, remaining: Math.max(0, limit - used), resetMs };
}

function rateLimited(
  what: 'requests' | 'tokens' | 'concurrent_requests',
  limit: number,
  asked: number,
  waitMs: number | undefined,
): LimitRefusal {
  return {
    kind: 'rate_limited',
    what,
    limit,
    asked,
    retryAfter: waitMs === undefined ? undefined : waitMs / 1000,
  };
}
