import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  affinity,
  atRandom,
  type Candidate,
  expectedTtft,
  type Fleet,
  homeOnly,
  leastLoaded,
  rendezvous,
  roundRobin,
  twoChoices,
} from './policy.ts';
import { mix } from './prefix-keys.ts';

function node(index: number, changes: Partial<Candidate> = {}): Candidate {
  const idle = { slots: 4, load: 0, queuedTokens: 0, prefillRate: 1000, answerSeconds: 10 };
  return { hash: mix(index + 1), ...idle, ...changes };
}

function fleet(nodes: Candidate[], held: Record<number, number[]> = {}): Fleet {
  const meanLoad = nodes.reduce((sum, { load }) => sum + load, 0) / nodes.length;
  return { nodes, meanLoad, holders: (key) => held[key] };
}

const asked = { keys: [11, 22, 33], promptTokens: 300 };
const half = () => 0.5;

describe('affinity', () => {
  test.each([
    ['nobody holds it: its home', {}, undefined],
    ['one holds the conversation', { 22: [3] }, 3],
    ['the longest prefix counts', { 22: [3], 33: [1] }, 1],
    ['a system prompt that many hold says nothing', { 11: [0, 1, 2, 3] }, undefined],
  ])('%s', (_what, held, expected) => {
    const nodes = [0, 1, 2, 3].map((index) => node(index));
    const home = homeOnly(asked, fleet(nodes), half);
    expect(affinity(asked, fleet(nodes, held), half)).toBe(expected ?? home);
  });

  test('of two holders the one that answers sooner', () => {
    const nodes = [node(0, { queuedTokens: 500 }), node(1), node(2)];
    expect(affinity(asked, fleet(nodes, { 33: [0, 1] }), half)).toBe(1);
  });

  test('a busy holder is left when another answers sooner in spite of its empty cache', () => {
    const nodes = [node(0, { load: 6 }), node(1), node(2)];
    expect(affinity(asked, fleet(nodes, { 33: [0] }), half)).not.toBe(0);
  });

  test('a holder whose queue is shorter than the prefill elsewhere is kept', () => {
    const nodes = [node(0, { queuedTokens: 100 }), node(1), node(2)];
    expect(affinity(asked, fleet(nodes, { 33: [0] }), half)).toBe(0);
  });
});

test('rendezvous: a node that leaves moves its own keys alone', () => {
  const all = [0, 1, 2, 3, 4].map((index) => node(index));
  const without = all.slice(0, 4);
  for (let key = 0; key < 2000; key++) {
    const before = rendezvous(mix(key), all);
    if (before !== 4) expect(rendezvous(mix(key), without)).toBe(before);
  }
});

test('expected TTFT: prompts ahead, then its own, and a slot when none is free', () => {
  expect(expectedTtft(node(0, { queuedTokens: 2000 }), 500)).toBe(2.5);
  expect(expectedTtft(node(0, { load: 3 }), 0)).toBe(0);
  expect(expectedTtft(node(0, { load: 5 }), 0)).toBe(5);
});

test('every policy names a node that is there', () => {
  const load = fc.record({ load: fc.nat(40), queuedTokens: fc.nat(10_000) });
  fc.assert(
    fc.property(
      fc.array(load, { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat(2 ** 31), { minLength: 1, maxLength: 8 }),
      fc.nat(2 ** 31),
      (loads, keys, seed) => {
        const nodes = loads.map((changes, index) => node(index, changes));
        const random = () => mix(seed) / 2 ** 32;
        const held = { [keys[keys.length - 1]!]: [nodes.length - 1] };
        for (const policy of [affinity, twoChoices, leastLoaded, homeOnly, atRandom, roundRobin()]) {
          const index = policy({ keys, promptTokens: 100 }, fleet(nodes, held), random);
          expect(nodes[index]).toBeDefined();
        }
      },
    ),
  );
});
