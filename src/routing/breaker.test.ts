import { describe, expect, test } from 'vitest';
import { type Breaker, closed, failed, probing, stateOf } from './breaker.ts';
import { breakerOf, report } from './choose.ts';

const now = 1_000_000;
const failing = (times: number, at = now): Breaker => {
  let breaker = closed;
  for (let i = 0; i < times; i++) breaker = failed(breaker, at, 1);
  return breaker;
};

describe('breaker', () => {
  test.each([
    ['new', closed, now, 'closed'],
    ['two failures may be chance', failing(2), now, 'closed'],
    ['three are not', failing(3), now, 'open'],
    ['after its pause one may try', failing(3), now + 1_000, 'half-open'],
    ['a probe is under way', probing(failing(3), now + 1_000), now + 1_500, 'open'],
    ['a probe that nobody reported on', probing(failing(3), now + 1_000), now + 21_000, 'half-open'],
    ['a probe that failed doubles the pause', failing(4), now + 1_500, 'open'],
    ['never longer than half a minute', failing(40), now + 30_000, 'half-open'],
  ] as const)('%s', (_what, breaker, at, state) => {
    expect(stateOf(breaker, at)).toBe(state);
  });

  test('one success closes it', () => {
    const node = 'http://127.0.0.1:1';
    for (let i = 0; i < 3; i++) report(node, false, now);
    expect(breakerOf(node, now)).toMatchObject({ state: 'open', failures: 3 });
    report(node, true, now);
    expect(breakerOf(node, now)).toEqual({ state: 'closed', failures: 0, open_until: null });
  });

  test('pauses differ between isolates by half', () => {
    expect(failed(failing(2), now, 0).openUntil - now).toBe(500);
  });
});
