import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Detokenizer } from './detokenizer.ts';
import { tokensOf } from './testing/crafted-model.ts';
import { TokenPieces } from './token-pieces.ts';

const tokens = tokensOf({ pieces: ['▁你好', '▁the'], markerType: 4 });
const texts = tokens.map(({ text }) => text);
const attributes = Int32Array.from(tokens, ({ type }) => 1 << ([0, 2, 0, 3, 4, 1, 5][type] ?? 0));
const begin = texts.indexOf('<|beginofutterance|>');
const pieces = new TokenPieces(
  { texts, attributes, scores: new Float32Array(texts.length), bos: 1, eos: 2 },
  [1, 2, begin, begin + 1],
);
const byte = (value: number) => value + 3;

function decode(ids: number[]): string[] {
  const detokenizer = new Detokenizer(pieces);
  return [...ids.map((id) => detokenizer.push(id)), detokenizer.flush()];
}

describe('detokenizer', () => {
  it('keeps the leading space of a first token', () => {
    expect(decode([texts.indexOf('▁the')])).toEqual([' the', '']);
  });

  it('waits for the rest of a character', () => {
    const [a, b, c] = Buffer.from('马');
    expect(decode([byte(a!), byte(b!), byte(c!), texts.indexOf('▁你好')])).toEqual([
      '',
      '',
      '马',
      ' 你好',
      '',
    ]);
  });

  it('makes U+FFFD of what never becomes a character', () => {
    expect(decode([byte(0xe9), byte(0xa9)])).toEqual(['', '', '�']);
    expect(decode([byte(0xe9), texts.indexOf('a')])).toEqual(['', '�a', '']);
    expect(decode([byte(0xff), byte(0xc0)])).toEqual(['�', '�', '']);
  });

  it('has no text for control tokens and markers, also where the file calls them user-defined', () => {
    expect(decode([1, 2, 0, begin, begin + 1]).join('')).toBe('');
  });

  it('ends with what decoding all bytes at once gives, and never shows more than that', () => {
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
    const plain = texts.flatMap((_, id) => (pieces.isPlain(id) ? [id] : []));
    // Bytes that begin, continue or break characters are rarer than others in a fair choice.
    const nasty = [0x80, 0xbf, 0xa0, 0x90, 0xc0, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xbb].map(byte);
    const id = fc.oneof(fc.constantFrom(...plain), fc.constantFrom(...nasty));
    fc.assert(
      fc.property(fc.array(id, { maxLength: 12 }), (ids) => {
        const whole = utf8.decode(Buffer.concat(ids.map((id) => pieces.bytes(id))));
        const parts = decode(ids);
        expect(parts.join('')).toBe(whole);
        for (const part of parts) expect(part).not.toMatch(/\p{Surrogate}/u);
      }),
      { numRuns: 3000 },
    );
  });
});
