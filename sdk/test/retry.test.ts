import { expect, test } from 'vitest';
import { isRetryableStatus, retryAfterSeconds, retryDelay } from '../src/retry.ts';

test.each([
  [400, null, false],
  [401, null, false],
  [404, null, false],
  [408, null, true],
  [409, null, false],
  [422, null, false],
  [429, null, true],
  [500, null, true],
  [501, null, false],
  [502, null, true],
  [503, null, true],
  [524, null, true],
  [503, 'false', false],
  [429, 'false', false],
  [400, 'true', true],
  [501, 'true', true],
])('status %i, x-should-retry %s: %s', (status, shouldRetry, wanted) => {
  expect(isRetryableStatus(status, shouldRetry)).toBe(wanted);
});

const now = Date.parse('2026-01-01T00:00:00Z');

test.each([
  ['0', 0],
  ['7', 7],
  ['1.5', 1.5],
  ['-5', 0],
  ['Thu, 01 Jan 2026 00:00:30 GMT', 30],
  ['Wed, 31 Dec 2025 23:59:00 GMT', 0],
  ['soon', undefined],
  ['', undefined],
])('Retry-After: %s is %s s', (value, wanted) => {
  expect(retryAfterSeconds(new Headers({ 'retry-after': value }), now)).toBe(wanted);
});

// tries so far, Retry-After, random, ms
test.each([
  [1, undefined, 0, 0],
  [1, undefined, 0.5, 250],
  [1, undefined, 1, 500],
  [2, undefined, 0.5, 500],
  [2, undefined, 1, 1000],
  [3, undefined, 0, undefined],
  [1, 5, 0, 5000],
  [1, 5, 0.5, 5250],
  [2, 5, 0.5, 5500],
  [1, 60, 0, 60_000],
  [1, 60.5, 0, undefined],
  [1, 90, 0, undefined],
  [3, 5, 0, undefined],
])('after %i tries, Retry-After %s, random %d: %s ms', (tries, retryAfter, random, wanted) => {
  expect(retryDelay({ isRetryable: true, retryAfter }, tries, 2, 60, () => random)).toBe(wanted);
});

test('the window stops growing', () => {
  const delay = (tries: number) =>
    retryDelay({ isRetryable: true, retryAfter: undefined }, tries, 100, 60, () => 1);
  expect([3, 4, 5, 6, 50].map(delay)).toEqual([2000, 4000, 8000, 8000, 8000]);
});

test('what cannot help is not tried, whatever Retry-After says', () => {
  expect(retryDelay({ isRetryable: false, retryAfter: 1 }, 1, 2, 60, () => 0)).toBeUndefined();
});

test('no retries means none', () => {
  expect(retryDelay({ isRetryable: true, retryAfter: undefined }, 1, 0, 60, () => 0)).toBeUndefined();
});
