import { describe, expect, it } from 'vitest';
import { decodeRoutes, routedTokens } from './decode-routes.ts';

const shape = { layers: 2, experts: 8, used: 2 };

it('decodes what the node encodes, and takes nothing else', () => {
  const bytes = Uint8Array.of(0, 7, 3, 255);
  expect(decodeRoutes(Buffer.from(bytes).toString('base64'))).toEqual(bytes);
  expect(decodeRoutes('')).toEqual(new Uint8Array());
  expect(decodeRoutes('不是')).toBeUndefined();
  expect(decodeRoutes('a')).toBeUndefined();
});

describe('tokens', () => {
  it('have a route each, and the text of a piece stands at its last', () => {
    const pieces = [
      { text: '床', routes: Uint8Array.of(0, 7, 3, 1) },
      { text: '前', routes: Uint8Array.of(2, 5, 6, 4, 1, 0, 0, 1) },
      { text: '', routes: Uint8Array.of(4, 5, 6, 7) },
    ];
    expect(routedTokens(pieces, shape)).toEqual([
      {
        text: '床',
        route: [
          [0, 7],
          [3, 1],
        ],
      },
      {
        text: '',
        route: [
          [2, 5],
          [6, 4],
        ],
      },
      {
        text: '前',
        route: [
          [1, 0],
          [0, 1],
        ],
      },
      {
        text: '',
        route: [
          [4, 5],
          [6, 7],
        ],
      },
    ]);
  });

  it('that are cut off, or of no known shape, are none', () => {
    const pieces = [{ text: 'x', routes: Uint8Array.of(1, 2, 3) }];
    expect(routedTokens(pieces, shape)).toEqual([]);
    expect(routedTokens(pieces, { layers: 0, experts: 0, used: 0 })).toEqual([]);
  });
});
