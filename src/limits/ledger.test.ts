import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KeyLimits, type Lease, Ledger } from './ledger.ts';

const t0 = Date.UTC(2026, 10, 24, 12);
const lease = (id: string, tokens: number, expiresAt = t0 + 300_000): Lease => ({
  id,
  model: 'huozi',
  tokens,
  expiresAt,
});

describe('each limit', () => {
  const full: [string, KeyLimits, object][] = [
    ['requests', { requests_per_minute: 1 }, { kind: 'rate_limited', what: 'requests', limit: 1, asked: 1 }],
    ['streams', { concurrent: 1 }, { kind: 'rate_limited', what: 'concurrent_requests', limit: 1 }],
    ['tokens', { tokens_per_minute: 15 }, { kind: 'rate_limited', what: 'tokens', limit: 15, asked: 10 }],
    ['a day', { tokens_per_day: 15 }, { kind: 'quota_exceeded', period: 'day', limit: 15, asked: 10 }],
    ['a month', { tokens_per_month: 15 }, { kind: 'quota_exceeded', period: 'month', limit: 15, asked: 10 }],
  ];
  it.each(full)('of %s stands against one more, and the refusal costs nothing', (_name, limits, refusal) => {
    const ledger = new Ledger();
    expect(ledger.acquire(limits, lease('a', 10), t0)).toBeUndefined();
    const before = JSON.stringify([ledger.spending, ledger.underWay]);
    for (let at = 0; at < 3; at++)
      expect(ledger.acquire(limits, lease('b', 10), t0 + at)).toMatchObject(refusal);
    expect(JSON.stringify([ledger.spending, ledger.underWay])).toBe(before);
  });

  it('that is absent is none', () => {
    const ledger = new Ledger();
    for (let at = 0; at < 1_000; at++) expect(ledger.acquire({}, lease(String(at), 1e9), t0)).toBeUndefined();
    expect(ledger.standings({}, t0)).toEqual({});
  });
});

it('says when a request will pass, and then it does', () => {
  const ledger = new Ledger();
  const limits = { requests_per_minute: 2 };
  for (const [at, id] of [
    [t0, 'a'],
    [t0 + 20_000, 'b'],
  ] as const) {
    ledger.acquire(limits, lease(id, 1), at);
  }
  const now = t0 + 30_000;
  const refusal = ledger.acquire(limits, lease('c', 1), now);
  const wait = (refusal as { retryAfter: number }).retryAfter * 1000;
  expect(wait).toBe(31_000);
  expect(ledger.acquire(limits, lease('c', 1), now + wait - 1)).toBeDefined();
  expect(ledger.acquire(limits, lease('c', 1), now + wait)).toBeUndefined();
});

it('says when waiting cannot help', () => {
  const ledger = new Ledger();
  const tooLarge = ledger.acquire({ tokens_per_minute: 9 }, lease('a', 10), t0);
  expect(tooLarge).toMatchObject({ what: 'tokens', retryAfter: undefined });
  expect(ledger.acquire({ requests_per_minute: 0 }, lease('a', 1), t0)).toMatchObject({
    retryAfter: undefined,
  });
});

it('charges what was used in the place of what was reserved', () => {
  const ledger = new Ledger();
  const limits = { tokens_per_minute: 100, tokens_per_day: 100 };
  const held = lease('a', 90);
  ledger.acquire(limits, held, t0);
  expect(ledger.standings(limits, t0).tokens).toMatchObject({ remaining: 10 });
  ledger.settle(held, 30, t0 + 1_000);
  expect(ledger.standings(limits, t0 + 1_000).tokens).toMatchObject({ remaining: 70 });
  expect(ledger.acquire(limits, lease('b', 71), t0 + 1_000)).toMatchObject({ kind: 'quota_exceeded' });
});

it('asked twice for the same answer reserves once', () => {
  const ledger = new Ledger();
  const limits = { concurrent: 1, requests_per_minute: 1, tokens_per_minute: 10 };
  expect(ledger.acquire(limits, lease('a', 10), t0)).toBeUndefined();
  expect(ledger.acquire(limits, lease('a', 10), t0)).toBeUndefined();
  expect(ledger.underWay).toBe(1);
});

describe('a lease', () => {
  it('that nobody settles is charged in full when it runs out, and then no longer', () => {
    const ledger = new Ledger();
    const limits = { concurrent: 1, tokens_per_minute: 100 };
    const held = lease('a', 40, t0 + 5_000);
    ledger.acquire(limits, held, t0);
    expect(ledger.expire(t0 + 4_999)).toEqual([]);
    expect(ledger.expire(t0 + 5_000)).toEqual([held]);
    expect(ledger.expire(t0 + 5_000)).toEqual([]);
    expect(ledger.standings(limits, t0 + 5_000).tokens).toMatchObject({ remaining: 60 });
    // Its worker was alive after all.
    ledger.settle(held, 30, t0 + 6_000);
    expect(ledger.standings(limits, t0 + 6_000).tokens).toMatchObject({ remaining: 60 });
    expect(ledger.acquire(limits, lease('b', 60), t0 + 6_000)).toBeUndefined();
  });

  it('that is renewed lasts', () => {
    const ledger = new Ledger();
    ledger.acquire({}, lease('a', 1, t0 + 5_000), t0);
    ledger.renew('a', t0 + 9_000);
    expect(ledger.expire(t0 + 8_999)).toEqual([]);
    expect(ledger.expire(t0 + 9_000)).toHaveLength(1);
    expect(ledger.renew('a', t0 + 99_000)).toBeUndefined();
  });

  it('that was lost with the memory is charged when it is settled', () => {
    const ledger = new Ledger();
    ledger.settle(lease('a', 40), 30, t0 + 1_000);
    expect(ledger.standings({ tokens_per_minute: 100 }, t0 + 1_000).tokens).toMatchObject({ remaining: 70 });
  });

  it('and all else goes on from what was stored', () => {
    const first = new Ledger();
    const limits = { requests_per_minute: 5, tokens_per_minute: 100 };
    const held = lease('a', 40);
    first.acquire(limits, held, t0);
    first.settle(lease('b', 9), 9, t0);
    const second = new Ledger(structuredClone(first.spending), [structuredClone(held)]);
    expect(second.standings(limits, t0)).toEqual(first.standings(limits, t0));
    expect(second.firstExpiry).toBe(first.firstExpiry);
  });
});

it('days and months are the calendar’s, in UTC', () => {
  const ledger = new Ledger();
  const limits = { tokens_per_day: 10, tokens_per_month: 15 };
  const use = (id: string, at: number) => {
    const held = lease(id, 10, at + 1_000);
    const refusal = ledger.acquire(limits, held, at);
    if (!refusal) ledger.settle(held, 10, at);
    return (refusal as { period?: string } | undefined)?.period;
  };
  expect(use('a', Date.UTC(2026, 10, 29, 23, 59))).toBeUndefined();
  expect(use('b', Date.UTC(2026, 10, 29, 23, 59, 59))).toBe('day');
  expect(use('c', Date.UTC(2026, 10, 30))).toBe('month');
  expect(use('d', Date.UTC(2026, 11, 1))).toBeUndefined();
});

it('whatever comes in whatever order: in no 60 s does more pass than the limits allow', () => {
  const step = fc.record({
    after: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 30_000 })),
    tokens: fc.integer({ min: 0, max: 60 }),
    used: fc.double({ min: 0, max: 1, noNaN: true }),
    end: fc.constantFrom('settle', 'leave', 'none'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const limits = { requests_per_minute: 5, tokens_per_minute: 100, concurrent: 3 };
      const ledger = new Ledger();
      const running: Lease[] = [];
      const passed: number[] = [];
      const answers: { began: number; ended: number; used: number }[] = [];
      let now = t0;
      const end = (held: Lease, used: number) => {
        const answer = answers[Number(held.id)]!;
        answer.ended = now;
        answer.used = used;
      };
      steps.forEach(({ after, tokens, used, end: how }) => {
        now += after;
        for (const expired of ledger.expire(now)) {
          running.splice(
            running.findIndex((one) => one.id === expired.id),
            1,
          );
          end(expired, expired.tokens);
        }
        const held = lease(String(answers.length), tokens, now + 45_000);
        if (!ledger.acquire(limits, held, now)) {
          passed.push(now);
          running.push(held);
          answers.push({ began: now, ended: Number.POSITIVE_INFINITY, used: tokens });
        }
        expect(running.length).toBeLessThanOrEqual(3);
        const first = running[0];
        if (how === 'settle' && first) {
          running.shift();
          const real = Math.floor(used * first.tokens);
          ledger.settle(first, real, now);
          end(first, real);
        }
      });
      for (const from of passed) {
        const window = (at: number) => at >= from && at < from + 60_000;
        expect(passed.filter(window).length).toBeLessThanOrEqual(5);
        // All that can have been generated in these 60 s.
        const generated = answers.filter((one) => one.began < from + 60_000 && one.ended >= from);
        const atOnce = generated.filter((one) => one.began <= from);
        const sum = (some: typeof generated) => some.reduce((total, one) => total + one.used, 0);
        expect(sum(atOnce)).toBeLessThanOrEqual(100);
        expect(sum(generated)).toBeLessThanOrEqual(100 + sum(atOnce.filter((one) => one.ended < from)));
      }
    }),
    { numRuns: 500 },
  );
});

it('settles each lease once, however often it is told within a minute', () => {
  const ledger = new Ledger();
  const limits = { tokens_per_day: 100 };
  const one = lease('a', 50);
  ledger.acquire(limits, one, t0);
  expect(ledger.settle(one, 40, t0 + 1_000)).toBe(true);
  expect(ledger.settle(one, 40, t0 + 2_000)).toBe(false);
  // Also one that the object has lost together with its memory.
  const lost = lease('b', 50);
  expect(ledger.settle(lost, 10, t0 + 2_000)).toBe(true);
  expect(ledger.settle(lost, 10, t0 + 50_000)).toBe(false);
  expect(ledger.acquire(limits, lease('c', 50), t0 + 60_000)).toBeUndefined();
  expect(ledger.acquire(limits, lease('d', 1), t0 + 60_000)).toBeDefined();
});
