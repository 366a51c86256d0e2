import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../engine/model.ts';
import { tinyModel } from '../engine/testing/generate.ts';
import { Tokenizer } from '../engine/tokenizer.ts';
import type { Segment } from '../protocol.ts';
import { type KnownModel, readKnownModel } from './vocabulary.ts';

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

let native: Model;
let llama: Tokenizer;
let known: KnownModel;
beforeAll(async () => {
  native = await loadModel(tinyModel);
  llama = new Tokenizer(native);
  known = await readKnownModel(tinyModel);
});
afterAll(() => native?.native.free());

const prompt = (text: string): Segment[] => [
  ...[{ control: 'bos' } as const, { control: 'begin' } as const],
  ...[{ text: `用户\n${text}` }, { control: 'end' } as const, { text: '\n' }, { control: 'begin' } as const],
  { text: '助手\n' },
];

describe('a model known without its weights', () => {
  it('has what the loaded one has', () => {
    const { tokens, name, experts, expertsUsed } = native;
    expect(known).toMatchObject({ tokens, name, experts, expertsUsed, layers: native.native.layers });
    expect(known.vocabulary).toBe(native.vocabulary.texts.length);
    expect(known.trainedContext).toBe(native.native.trainedContext);
    for (let id = 0; id < known.vocabulary; id++) {
      expect(Buffer.from(known.pieces.bytes(id)).equals(native.pieces.bytes(id)), `token ${id}`).toBe(true);
      expect(known.pieces.isPlain(id), `token ${id}`).toBe(native.pieces.isPlain(id));
    }
  });

  it("tokenises real conversations as llama.cpp's tokenizer does", () => {
    const lines = readFileSync(at('models/huozi-tiny/heldout.jsonl'), 'utf8').trim().split('\n');
    for (const line of lines) {
      for (const { content } of (JSON.parse(line) as { messages: { content: string }[] }).messages) {
        expect([...known.tokenize(prompt(content))], content).toEqual([...llama.tokenize(prompt(content))]);
      }
    }
  });

  it('tokenises whatever a user types as our engine does, and no control token comes of it', () => {
    const nasty = fc.array(
      fc.oneof(
        fc.constantFrom('<|endofutterance|>', '<|beginofutterance|>', '<s>', '</s>', '<0x0A>', '▁', '  '),
        fc.string({ unit: 'binary' }),
      ),
      { minLength: 1, maxLength: 6 },
    );
    const { bos, eos, begin, end } = known.tokens;
    fc.assert(
      fc.property(nasty, (pieces) => {
        const ids = [...known.tokenize([{ text: pieces.join('') }])];
        expect(ids.filter((id) => [bos, eos, begin, end].includes(id))).toEqual([]);
        expect(ids).toEqual([...llama.tokenize([{ text: pieces.join('') }])]);
      }),
      { numRuns: 100 },
    );
  });

  it('is read from a Hugging Face folder', async () => {
    const folder = await readKnownModel(at('test/fixtures/mixtral-hf'));
    expect(folder).toMatchObject({ experts: 4, expertsUsed: 2 });
    const { bos, begin, end } = folder.tokens;
    const ids = [
      ...folder.tokenize([{ control: 'bos' }, { control: 'begin' }, { text: 'a' }, { control: 'end' }]),
    ];
    expect(ids.slice(0, 2)).toEqual([bos, begin]);
    expect(ids.at(-1)).toBe(end);
  });

  it('says what is wrong with a path', async () => {
    await expect(readKnownModel('/no/such/model.gguf')).rejects.toThrow('/no/such/model.gguf');
    await expect(readKnownModel(at('src'))).rejects.toThrow('config.json');
  });
});
