import { describe, expect, it } from 'vitest';
import { type NodeRow, ratesBetween, stateOf } from './rates.ts';

const closed = { state: 'closed', failures: 0, open_until: null } as const;
const node = (id: string, info: Partial<NonNullable<NodeRow['info']>> = {}, up = true): NodeRow => ({
  id,
  url: `http://${id}`,
  up,
  breaker: closed,
  info: { model: 'huozi', context_length: 10, prefill_tokens: 100, decode_tokens: 10, ...info },
});

describe('rates', () => {
  it('are what was counted over the time between', () => {
    const before = { at: 1_000, nodes: [node('a')] };
    const after = { at: 3_000, nodes: [node('a', { prefill_tokens: 300, decode_tokens: 15 })] };
    expect([...ratesBetween(before, after)]).toEqual([['a', { prefill: 100, decode: 2.5 }]]);
  });

  it('of a node that is new, down, started anew or does not count are not known', () => {
    const before = { at: 0, nodes: [node('a'), node('b'), node('c', {}, false), node('d')] };
    const uncounted = node('d');
    delete uncounted.info!.decode_tokens;
    const after = {
      at: 2_000,
      nodes: [node('a', { decode_tokens: 1 }), node('b', {}, false), node('c'), uncounted, node('new')],
    };
    expect(ratesBetween(before, after).size).toBe(0);
    expect(ratesBetween(before, { ...before, at: 0 }).size).toBe(0);
  });
});

it.each([
  [node('a'), 'ready'],
  [node('a', {}, false), 'down'],
  [{ ...node('a'), info: null }, 'down'],
  [node('a', { engine: 'restarting', draining: true }), 'restarting'],
  [node('a', { draining: true }), 'draining'],
  [node('a', { slots: 2, active: 2 }), 'full'],
  [{ ...node('a'), breaker: { ...closed, state: 'open' as const } }, 'avoided'],
  [{ ...node('a'), breaker: { ...closed, state: 'half-open' as const } }, 'ready'],
] as const)('%j: %s', (row, expected) => {
  expect(stateOf(row as NodeRow)).toBe(expected);
});
