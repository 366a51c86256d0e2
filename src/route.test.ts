import { expect, it } from 'vitest';
import type { KnownNode } from './nodes.ts';
import { inTurn } from './route.ts';

const known = (url: string, up: boolean): KnownNode => ({ url, token: '', info: undefined, up });
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
