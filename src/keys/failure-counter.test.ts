import { describe, expect, it } from 'vitest';
import { addressOf, FailureCounter } from './failure-counter.ts';

describe('failures', () => {
  it('beyond the allowed ones make an address wait for the rest of its minute', () => {
    const counter = new FailureCounter(2);
    const waits = [0, 1_000, 2_000, 30_000].map((at) => counter.fail('a', at));
    expect(waits).toEqual([0, 0, 58, 30]);
    expect(counter.wait('a', 59_999)).toBeGreaterThan(0);
    expect(counter.wait('a', 60_000)).toBe(0);
    expect(counter.fail('a', 60_000)).toBe(0);
    expect(counter.wait('b', 30_000)).toBe(0);
  });

  it('are remembered of so many addresses and no more', () => {
    const counter = new FailureCounter(0, 3);
    for (const address of ['a', 'b', 'c', 'd']) {
      counter.fail(address, 0);
    }
    expect(['a', 'b', 'c', 'd'].map((address) => counter.wait(address, 1) > 0)).toEqual([
      false,
      true,
      true,
      true,
    ]);
  });
});

it.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['2001:db8:1:2::', '2001:db8:1:2'],
  ['::1', '0:0:0:0'],
  ['x'.repeat(500), 'x'.repeat(64)],
])('the address %s counts as %s', (header, expected) => {
  expect(addressOf(new Request('http://edge/', { headers: { 'cf-connecting-ip': header } }))).toBe(expected);
});
