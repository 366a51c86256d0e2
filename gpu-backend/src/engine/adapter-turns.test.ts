import { expect, it } from 'vitest';
import { AdapterTurns } from './adapter-turns.ts';

const of = (...adapters: number[]) => adapters.map((adapter) => ({ adapter }));

it('stays with one adapter as long as nobody wants another', () => {
  const turns = new AdapterTurns(50);
  expect(turns.next(of(0, 0), 0)).toBe(0);
  expect(turns.next(of(2), 1)).toBe(2);
  expect(turns.next(of(2, 2), 10_000)).toBe(2);
  expect(turns.next([], 10_001)).toBe(2);
});

it('gives each its turn, in a round, however many sequences each has', () => {
  const turns = new AdapterTurns(50);
  const seen: number[] = [];
  for (let now = 0; now < 400; now += 25) seen.push(turns.next(of(3, 0, 0, 0, 1), now));
  expect(seen).toEqual([0, 0, 1, 1, 3, 3, 0, 0, 1, 1, 3, 3, 0, 0, 1, 1]);
});

it('does not wait for a turn to end when its sequences have ended', () => {
  const turns = new AdapterTurns(50);
  expect(turns.next(of(1), 100)).toBe(1);
  expect(turns.next(of(0, 2), 101)).toBe(2);
  expect(turns.next(of(0, 1), 102)).toBe(0);
});
