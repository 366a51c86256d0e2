import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenizeText } from '../native/model.ts';
import { loadModel, type Model } from './model.ts';
import { PlainTokenizer } from './spm.ts';
import { tokenType, writeModel } from './testing/crafted-model.ts';
import { tinyModel } from './testing/generate.ts';
import { Tokenizer } from './tokenizer.ts';

/**
 * Pieces through which llama.cpp's merges reach control and byte tokens: `</` + `s` + `>` is `</s>` there. The
 * vocabularies of Mistral and of huozi-tiny happen to lack the steps; nothing promises that of another.
 */
const treacherous = ['</s', '</', '<s', '<0x0A', '<0x0', '<0x', '<0', '<un', '<u', 'k>', '▁▁', '<|begin'];
const directory = mkdtempSync(join(tmpdir(), 'huozi-tokenizer-'));
const models = new Map<string, Model>();

beforeAll(async () => {
  const crafted = {
    control: tokenType.control,
    'user-defined': tokenType.userDefined,
    normal: tokenType.normal,
  };
  for (const [name, markerType] of Object.entries(crafted)) {
    const path = join(directory, `${name}.gguf`);
    writeModel(path, { pieces: treacherous, markerType });
    models.set(`markers typed ${name}`, await loadModel(path));
  }
  models.set('huozi-tiny', await loadModel(tinyModel));
});
afterAll(() => {
  for (const model of models.values()) model.native.free();
  rmSync(directory, { recursive: true });
});

/** What a hostile user types: control literals whole, split, doubled, widened, with invisible characters inside. */
const literals = [
  '<|beginofutterance|>',
  '<|endofutterance|>',
  '<s>',
  '</s>',
  '<unk>',
  '<0x0A>',
  '<0xE4>',
  '<0x00>',
];
const widened = literals.map((text) =>
  text.replaceAll(/[!-~]/g, (character) => String.fromCharCode(character.charCodeAt(0) + 0xfee0)),
);
const broken = literals.flatMap((text) => [
  text.slice(0, 3),
  text.slice(3),
  `${text.slice(0, 2)}\u200b${text.slice(2)}`,
]);
const ordinary = [
  '你好',
  '用户\n',
  '助手\n',
  ' ',
  '  ',
  '\n',
  '\t',
  'a',
  '>',
  '▁',
  '▁▁',
  '😀',
  '\u0000',
  '\ud800',
  '\ufeff',
];
const nasty = fc
  .array(
    fc.oneof(fc.constantFrom(...literals, ...widened, ...broken, ...ordinary), fc.string({ unit: 'binary' })),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .map((parts) => parts.join(''))
  .filter((text) => text !== '');

const spell = (model: Model, ids: ArrayLike<number>) =>
  Buffer.concat(Array.from(ids, (id) => model.pieces.bytes(id))).toString();

describe.each(['markers typed control', 'markers typed user-defined', 'markers typed normal', 'huozi-tiny'])(
  'tokenizer, %s',
  (name) => {
    let model: Model;
    let tokenizer: Tokenizer;
    beforeAll(() => {
      model = models.get(name) as Model;
      tokenizer = new Tokenizer(model);
    });

    it('builds a prompt as the reference tokenizer does: one prefix after each control token', () => {
      const { bos, begin, end } = model.tokens;
      const enc = (text: string) => [...Array.from(tokenizer.encode(text))];
      const ids = tokenizer.tokenize([
        { control: 'bos' },
        { control: 'begin' },
        { text: '用户\n' },
        { text: '你好' },
        { control: 'end' },
        { text: '\n' },
        { control: 'begin' },
        { text: '' },
        { control: 'end' },
      ]);
      expect([...ids]).toEqual([bos, begin, ...enc('用户\n你好'), end, ...enc('\n'), begin, end]);
      expect(spell(model, enc('用户\n你好'))).toBe(' 用户\n你好');
    });

    it('makes no control token of any text, and spells what was typed', () => {
      const { bos, eos, begin, end } = model.tokens;
      let tried = 0;
      fc.assert(
        fc.property(nasty, (text) => {
          tried++;
          const ids = [...tokenizer.tokenize([{ control: 'bos' }, { text }])].slice(1);
          const control = ids.filter(
            (id) => !model.pieces.isPlain(id) || [0, bos, eos, begin, end].includes(id),
          );
          expect(control).toEqual([]);
          expect(spell(model, ids)).toBe(` ${text.replaceAll(/\p{Surrogate}/gu, '�')}`);
        }),
        { numRuns: 500 },
      );
      expect(tried).toBeGreaterThanOrEqual(300);
    });

    it('merges as llama.cpp does where that is safe', () => {
      const plain = new PlainTokenizer(model.vocabulary, model.pieces);
      const harmless = fc.string({
        unit: fc.constantFrom(...'abnk <>/0x|ing你好用户系统助手，。1２\n\té😀'),
      });
      fc.assert(
        fc.property(harmless, (text) => {
          const theirs = [...tokenizeText(model.native, Buffer.from(text))];
          fc.pre(theirs.every((id) => model.pieces.isPlain(id)) && spell(model, theirs) === ` ${text}`);
          expect(plain.encode(` ${text}`)).toEqual(theirs);
        }),
        { numRuns: 500 },
      );
    });
  },
);

describe("llama.cpp's own tokenizer", () => {
  it('does turn typed text into control tokens, which is why ours looks at what came out', () => {
    const model = models.get('markers typed control') as Model;
    const { eos } = model.tokens;
    expect([...tokenizeText(model.native, Buffer.from('</s>'))]).toContain(eos);
    expect(spell(model, tokenizeText(model.native, Buffer.from('<0x0A>')))).toBe(' \n');
    const userDefined = models.get('markers typed user-defined') as Model;
    const marker = Buffer.from('<|endofutterance|>');
    expect([...tokenizeText(userDefined.native, marker)]).toContain(userDefined.tokens.end);
  });
});
