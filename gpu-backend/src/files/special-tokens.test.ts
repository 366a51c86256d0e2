import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Metadata } from './gguf-header.ts';
import { addSpecialTokens } from './special-tokens.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huozi-special-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function read(files: Record<string, unknown>): Promise<Record<string, unknown>> {
  for (const [name, value] of Object.entries({ 'config.json': {}, ...files })) {
    await writeFile(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));
  }
  const metadata: Metadata = new Map();
  await addSpecialTokens(folder, 100, metadata);
  return Object.fromEntries([...metadata].map(([key, { value }]) => [key, value]));
}

const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
const sequence = (id: string) => ({ Sequence: { id, type_id: 0 } });
const llamaTemplate = {
  type: 'TemplateProcessing',
  single: [special('<s>'), sequence('A')],
  pair: [special('<s>'), sequence('A'), special('<s>'), sequence('B')],
};
const added_tokens = ['<unk>', '<s>', '</s>'].map((content, id) => ({ id, content }));

// Each was compared with the whole file that llama.cpp's converter writes of such a folder.
it('takes ids from config.json, and whether to add them from tokenizer_config.json', async () => {
  const files = {
    'config.json': { bos_token_id: 1, eos_token_id: 2, pad_token_id: null, unk_token_id: 500 },
    'tokenizer_config.json': { add_bos_token: true, add_eos_token: false, bos_token: '<s>' },
  };
  expect(await read(files)).toEqual({
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
    'tokenizer.ggml.add_bos_token': true,
    'tokenizer.ggml.add_eos_token': false,
  });
});

it("lets tokenizer.json's ids go first, and reads from its template what is added", async () => {
  const files = {
    'config.json': { bos_token_id: 7, eos_token_id: 8 },
    'tokenizer.json': { added_tokens, post_processor: llamaTemplate },
    'tokenizer_config.json': { bos_token: { content: '<s>' }, eos_token: '</s>', unk_token: '<unk>' },
  };
  expect(await read(files)).toEqual({
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
    'tokenizer.ggml.unknown_token_id': 0,
    'tokenizer.ggml.add_bos_token': true,
    'tokenizer.ggml.add_sep_token': false,
  });
});

it('finds the template in a sequence of processors, and an eos at its end', async () => {
  const template = { ...llamaTemplate, single: [...llamaTemplate.single, special('</s>')] };
  const files = {
    'tokenizer.json': { added_tokens, post_processor: { type: 'Sequence', processors: [template] } },
    'tokenizer_config.json': { bos_token: '<s>', eos_token: '</s>', chat_template: '{{ x }}' },
  };
  expect(await read(files)).toMatchObject({
    'tokenizer.ggml.add_bos_token': true,
    'tokenizer.ggml.add_eos_token': true,
    'tokenizer.chat_template': '{{ x }}',
  });
});

it('takes a chat template from its own file only beside a tokenizer_config.json', async () => {
  expect(await read({ 'chat_template.jinja': 'hello' })).toEqual({});
  expect(await read({ 'tokenizer_config.json': {} })).toEqual({ 'tokenizer.chat_template': 'hello' });
});
