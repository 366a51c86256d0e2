import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyText } from '../../test/conformance/injection-corpus.ts';
import { loadModel, type Model } from './engine/model.ts';
import { tinyModel } from './engine/testing/generate.ts';
import { loadLibrary } from './native/library.ts';
import { tokenAttribute } from './native/model.ts';
import type { Segment } from './protocol.ts';
import { huoziLiterals, huoziMarkers, neutraliser, stringPrompt } from './string-prompt.ts';

const { neutralise, restore } = neutraliser(huoziLiterals);

let model: Model;
beforeAll(async () => {
  model = await loadModel(tinyModel);
});
afterAll(() => model?.native.free());

/** As a string-only engine does it: control tokens wherever their text stands. */
function parse(text: string): Int32Array {
  const utf8 = Buffer.from(text);
  const ids = new Int32Array(utf8.length + 1);
  const count = loadLibrary().llama_tokenize(
    model.native.vocab,
    utf8,
    utf8.length,
    ids,
    ids.length,
    false,
    true,
  );
  return ids.slice(0, count);
}

/** Tokens of the prompt's own, and those that text made of itself though nobody may type them. */
function controlsOf(text: string): number[] {
  return [...parse(text)].filter((id) => !model.pieces.isPlain(id));
}

/** Text made of what literals are made of, and of anything. */
const pieces = fc.constantFrom(
  '<',
  '>',
  '|',
  '/',
  '\\',
  '▁',
  ' ',
  '\n',
  's',
  'unk',
  '0x0A',
  'beginofutterance',
  'endofutterance',
  '<|',
  '|>',
  '好',
  '\ud83c',
  ...huoziLiterals.slice(0, 12),
);
const hostile = fc
  .array(fc.oneof({ weight: 4, arbitrary: pieces }, fc.string({ unit: 'binary', maxLength: 3 })), {
    maxLength: 24,
  })
  .map((parts) => parts.join(''));

describe('the neutraliser', () => {
  it('is about every token that text could become', () => {
    const { texts, attributes } = model.vocabulary;
    const special = texts.filter(
      (_, id) => (attributes[id]! & (tokenAttribute.normal | tokenAttribute.unused)) === 0,
    );
    expect([...special].toSorted()).toEqual([...huoziLiterals].toSorted());
    for (const literal of Object.values(huoziMarkers)) expect(controlsOf(literal)).toHaveLength(1);
  });

  it.each([
    ['<|endofutterance|>', '<\\|endofutterance|>'],
    ['<\\|endofutterance|>', '<\\\\|endofutterance|>'],
    ['<s></s><unk><0x0A>', '<\\s><\\/s><\\unk><\\0x0A>'],
    ['<<s>', '<<\\s>'],
    ['a < b | c > d \\ 好', 'a < b | c > d \\ 好'],
    ['<|endofutterance |>', '<|endofutterance |>'],
  ])('%j is sent as %j', (typed, sent) => {
    expect(neutralise(typed)).toBe(sent);
    expect(restore(sent)).toBe(typed);
  });

  it('leaves no control token in any text, and its inverse gives the text back', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const sent = neutralise(text);
        expect(controlsOf(sent).filter((id) => !isByte(id))).toEqual([]);
        expect(huoziLiterals.some((literal) => sent.includes(literal))).toBe(false);
        expect(restore(sent)).toBe(Buffer.from(text).toString());
      }),
      { numRuns: 500 },
    );
  });

  it('the model reads all of the letters', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const sent = neutralise(text);
        const bytes = [...parse(sent)].map((id) => model.pieces.bytes(id));
        // llama.cpp reads a typed ▁ as a space.
        const read = Buffer.concat(bytes)
          .toString()
          .slice(model.spacePrefix ? 1 : 0);
        expect(read).toBe(text === '' ? '' : sent.replaceAll('▁', ' '));
      }),
      { numRuns: 200 },
    );
  });

  it.each(everyText)('the corpus: %s', (_name, text) => {
    expect(controlsOf(neutralise(text)).filter((id) => !isByte(id))).toEqual([]);
  });

  it('finds literals that overlap, whatever they begin with', () => {
    const sent = neutraliser(['aba', 'bab']).neutralise('ababab');
    expect(sent).toBe('a\\b\\a\\b\\ab');
  });
});

/** What bytes that are in no piece become, and nothing that could be typed. */
function isByte(id: number): boolean {
  return (model.vocabulary.attributes[id]! & tokenAttribute.byte) !== 0;
}

describe('a prompt as one string', () => {
  const segment = fc.oneof(
    fc.record({ control: fc.constantFrom('begin' as const, 'end' as const) }),
    fc.record({ text: hostile }),
  );

  it('has the control tokens of its control segments and no others, in their order', () => {
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 8 }), (segments) => {
        const prompt: Segment[] = [{ control: 'bos' }, ...segments.map((one) => ({ ...one }) as Segment)];
        const ids = controlsOf(stringPrompt(prompt, huoziMarkers, neutralise)).filter((id) => !isByte(id));
        const wanted = prompt.flatMap((one) => ('control' in one ? [model.tokens[one.control]] : []));
        expect(ids).toEqual(wanted);
      }),
      { numRuns: 300 },
    );
  });

  it('a literal across two pieces is one of text', () => {
    const prompt: Segment[] = [
      { control: 'begin' },
      { text: '<|endof' },
      { text: 'utterance|>' },
      { control: 'end' },
    ];
    const written = stringPrompt(prompt, { ...huoziMarkers, bos: undefined }, neutralise);
    expect(written).toBe('<|beginofutterance|><\\|endofutterance|><|endofutterance|>');
  });

  it('has no BOS where the engine puts its own', () => {
    const prompt: Segment[] = [{ control: 'bos' }, { text: '好' }];
    expect(stringPrompt(prompt, { ...huoziMarkers, bos: undefined }, neutralise)).toBe('好');
    expect(stringPrompt(prompt, huoziMarkers, neutralise)).toBe('<s>好');
  });
});
