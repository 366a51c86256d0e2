import { describe, expect, it } from 'vitest';
import { Dry } from './dry.ts';
import { logitChanges } from './logit-change.ts';
import { greedy } from './testing/generate.ts';
import { TokenPieces } from './token-pieces.ts';

const size = 12;
/** a b c … l. */
const pieces = new TokenPieces(
  {
    texts: Array.from({ length: size }, (_, id) => String.fromCharCode(97 + id)),
    attributes: new Int32Array(size).fill(4),
    scores: new Float32Array(size),
    bos: 0,
    eos: 0,
  },
  [],
);
const settings = { multiplier: 1, base: 2, allowed_length: 2, last_n: 0, sequence_breakers: [] as string[] };
const ids = (text: string) => Int32Array.from(text, (c) => c.charCodeAt(0) - 97);

/** What each token loses after `text`. */
function penalties(text: string, change: Partial<typeof settings> = {}): Record<string, number> {
  const dry = new Dry({ ...settings, ...change }, ids(text), pieces);
  const logits = new Float32Array(size);
  dry.apply(logits, 0);
  return Object.fromEntries(
    [...logits].flatMap((logit, id) => (logit === 0 ? [] : [[String.fromCharCode(97 + id), -logit]])),
  );
}

/** By the definition: every earlier place whose end is the same as the text's, as far as it goes. */
function byDefinition(text: string, { last_n, sequence_breakers }: typeof settings) {
  const found: Record<string, number> = {};
  const window = last_n === 0 ? text : text.slice(-last_n);
  for (let i = 0; i < window.length - 1; i++) {
    let length = 0;
    while (length <= i && window[i - length] === window[window.length - 1 - length]) {
      const ended = window.slice(0, window.length - length);
      if (sequence_breakers.some((breaker) => ended.endsWith(breaker))) break;
      length++;
    }
    const next = window[i + 1] as string;
    if (length >= 2) found[next] = Math.max(found[next] ?? 0, 2 ** (length - 2));
  }
  return found;
}

describe('dry', () => {
  it.each([
    ['abcdab', {}, { c: 1 }],
    ['abcdabc', {}, { d: 2 }],
    ['abcdeabcd', { multiplier: 0.5, base: 3 }, { e: 4.5 }],
    ['abcdab', { allowed_length: 3 }, {}],
    ['abcfabc', { sequence_breakers: ['a'] }, { f: 1 }],
    ['abcfabc', { sequence_breakers: ['ab'] }, {}],
    ['abcfabc', { last_n: 4 }, {}],
    ['aaaa', {}, { a: 2 }],
    ['', {}, {}],
  ] as const)('%s %o', (text, change, expected) => {
    expect(
      penalties(text, {
        ...change,
        sequence_breakers: [...('sequence_breakers' in change ? change.sequence_breakers : [])],
      }),
    ).toEqual(expected);
  });

  it('is what its definition says, for 300 texts of three letters', () => {
    let seed = 1;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    for (let i = 0; i < 300; i++) {
      const text = Array.from({ length: 1 + random(24) }, () => 'abc'[random(3)]).join('');
      const sequence_breakers = i % 3 === 0 ? [['c', 'ab', 'ca'][random(3)] as string] : [];
      const last_n = i % 2 === 0 ? 0 : 1 + random(12);
      const change = { sequence_breakers, last_n };
      expect(penalties(text, change), `${text} / ${sequence_breakers} / ${last_n}`).toEqual(
        byDefinition(text, { ...settings, ...change }),
      );
    }
  });

  it('takes no more of a long prompt than of its length: everybody else waits meanwhile', () => {
    const begin = performance.now();
    const dry = new Dry(settings, new Int32Array(32_000), pieces);
    const logits = new Float32Array(size);
    for (let i = 0; i < 20; i++) {
      dry.apply(logits, 0);
      dry.add(0);
    }
    // 15 ms of CPU time; it was 1.8 s, and 28 s by the clock on a busy machine, when each token looked at all others.
    expect(performance.now() - begin).toBeLessThan(3_000);
    expect(logits[0]).toBeLessThan(0);
  });
});

describe('logit changes', () => {
  const promptIds = ids('ab');
  const request = {
    promptIds,
    sampling: greedy,
    maxTokens: 9,
    stopIds: [],
    stopStrings: [],
    ignoreEos: false,
  };

  it('are none for the usual request', () => {
    expect(logitChanges({ ...request, minTokens: 0 }, new Set([3]), pieces)).toEqual([]);
  });

  it('bias comes first, then the penalties', () => {
    const sampling = { ...greedy, logit_bias: { '1': 4, '5': -100 }, repetition_penalty: 2 };
    const logits = new Float32Array(2 * size);
    for (const change of logitChanges({ ...request, sampling }, new Set(), pieces))
      change.apply(logits, size);
    expect([...logits.subarray(size)]).toEqual([0, 2, 0, 0, 0, -100, 0, 0, 0, 0, 0, 0]);
    expect(logits.subarray(0, size).every((logit) => logit === 0)).toBe(true);
  });

  it('keep the end away until there are enough tokens', () => {
    const [change] = logitChanges({ ...request, minTokens: 2 }, new Set([3, 4]), pieces);
    const seen = [];
    for (let i = 0; i < 3; i++) {
      const logits = new Float32Array(size);
      change?.apply(logits, 0);
      seen.push([logits[3], logits[4], logits[5]]);
      change?.add(1);
    }
    const none = Number.NEGATIVE_INFINITY;
    expect(seen).toEqual([
      [none, none, 0],
      [none, none, 0],
      [0, 0, 0],
    ]);
  });
});
