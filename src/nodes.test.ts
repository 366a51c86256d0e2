import { expect, it } from 'vitest';
import { inTurn, type KnownNode } from './nodes.ts';

const known = (url: string, up: boolean): KnownNode => ({
  url,
  token: '',
  info: undefined,
  up,
  prefixes: new Set(),
  hash: 0,
  sent: 0,
});
const nodes = [known('a', true), known('b', false), known('c', true), known('d', true)];
const order = (start: number) =>
  inTurn(nodes, start)
    .map((node) => node.url)
    .join('');

it('every node is tried once, those that answered lately first, from a start that turns', () => {
  expect(order(0)).toBe('acdb');
  expect(order(0.34)).toBe('cdab');
  expect(order(0.999)).toBe('dacb');
  expect(inTurn([], 0.5)).toEqual([]);
});
