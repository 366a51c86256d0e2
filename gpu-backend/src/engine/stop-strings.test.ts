import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopStrings } from './stop-strings.ts';

function feed(stops: string[], pieces: string[]) {
  const matcher = new StopStrings(stops);
  let text = '';
  for (const piece of pieces) {
    const shown = matcher.push(piece);
    text += shown.text;
    if (shown.found) return { text, found: true };
  }
  return { text: text + matcher.flush(), found: false };
}

/** The slow and plain way: after each character, does the text end with a stop string? */
function reference(stops: string[], text: string) {
  for (let end = 1; end <= text.length; end++) {
    const before = text.slice(0, end);
    const longest = Math.max(0, ...stops.filter((stop) => before.endsWith(stop)).map((stop) => stop.length));
    if (longest > 0) return { text: before.slice(0, end - longest), found: true };
  }
  return { text, found: false };
}

describe('stop strings', () => {
  it('never show a part of one that is split over tokens', () => {
    const matcher = new StopStrings(['用户\n']);
    expect(matcher.push('好的')).toEqual({ text: '好的', found: false });
    expect(matcher.push('。用')).toEqual({ text: '。', found: false });
    expect(matcher.push('户')).toEqual({ text: '', found: false });
    expect(matcher.push('\n后面')).toEqual({ text: '', found: true });
  });

  it('hold back only what could still become one', () => {
    const matcher = new StopStrings(['abcd']);
    expect(matcher.push('xabab')).toEqual({ text: 'xab', found: false });
    expect(matcher.push('c')).toEqual({ text: '', found: false });
    expect(matcher.push('x')).toEqual({ text: 'abcx', found: false });
    expect(matcher.push('ab')).toEqual({ text: '', found: false });
    expect(matcher.flush()).toBe('ab');
  });

  it('never match half a character', () => {
    expect(feed(['\ude00x', '\ud83d'], ['a😀', 'x'])).toEqual({ text: 'a😀x', found: false });
  });

  it('give the same text however tokens split it', () => {
    const letters = fc.constantFrom('a', 'b', 'c', '好', '😀');
    const word = fc.array(letters, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));
    const stops = fc.array(word, { minLength: 1, maxLength: 4 });
    const pieces = fc.array(fc.oneof(word, fc.constant('')), { maxLength: 12 });
    fc.assert(
      fc.property(stops, pieces, (stops, pieces) => {
        expect(feed(stops, pieces)).toEqual(reference(stops, pieces.join('')));
      }),
      { numRuns: 2000 },
    );
  });

  it('let nothing wait that cannot become one: what is held is always the beginning of a stop string', () => {
    const letters = fc.constantFrom('a', 'b', 'c');
    const word = fc.array(letters, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 3 }),
        fc.array(word, { maxLength: 8 }),
        (stops, pieces) => {
          const matcher = new StopStrings(stops);
          let given = '';
          let shown = '';
          for (const piece of pieces) {
            given += piece;
            const { text, found } = matcher.push(piece);
            shown += text;
            if (found) return;
            const held = given.slice(shown.length);
            expect(held === '' || stops.some((stop) => stop.startsWith(held))).toBe(true);
          }
        },
      ),
    );
  });
});
