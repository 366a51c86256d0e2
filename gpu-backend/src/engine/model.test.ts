/** Files that are refused, each in one line that names the file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from './model.ts';
import { ModelFileError, type ModelFileProblem } from './model-errors.ts';
import { philox } from './random.ts';
import { type CraftedModel, writeModel } from './testing/crafted-model.ts';
import { tinyModel } from './testing/generate.ts';

const directory = mkdtempSync(join(tmpdir(), 'huozi-model-'));
const path = join(directory, 'model.gguf');
afterAll(() => rmSync(directory, { recursive: true }));

async function refusal(file = path): Promise<ModelFileError> {
  const error = await loadModel(file).then(
    (model) => {
      model.native.free();
      return undefined;
    },
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(ModelFileError);
  return error as ModelFileError;
}

/** huozi-tiny with some bytes changed. */
function damage(change: (bytes: Buffer) => Buffer): void {
  writeFileSync(path, change(readFileSync(tinyModel)));
}

const crafted: [string, CraftedModel, ModelFileProblem, RegExp][] = [
  [
    'of another architecture',
    { metadata: { 'general.architecture': { type: 'string', value: 'qwen2' } } },
    'unsupported',
    /qwen2/,
  ],
  [
    'without experts',
    { metadata: { 'llama.expert_count': { type: 'u32', value: 0 } } },
    'unsupported',
    /no experts/,
  ],
  [
    'that uses more experts than it has',
    { metadata: { 'llama.expert_used_count': { type: 'u32', value: 5 } } },
    'damaged',
    /5 experts of 4/,
  ],
  [
    'without heads',
    { metadata: { 'llama.attention.head_count': { type: 'u32', value: 0 } } },
    'damaged',
    /head_count/,
  ],
  [
    'whose heads do not divide',
    { metadata: { 'llama.attention.head_count_kv': { type: 'u32', value: 3 } } },
    'damaged',
    /KV heads/,
  ],
  ['with a missing count', { metadata: { 'llama.block_count': undefined } }, 'damaged', /block_count/],
  [
    'with another tokenizer',
    { metadata: { 'tokenizer.ggml.model': { type: 'string', value: 'gpt2' } } },
    'unsupported',
    /"gpt2"/,
  ],
  ['without markers', { markers: [] }, 'no_markers', /no <\|beginofutterance\|> in its vocabulary/],
  ['with one marker', { markers: ['<|beginofutterance|>'] }, 'no_markers', /no <\|endofutterance\|>/],
  ['with a token twice', { pieces: ['你'] }, 'damaged', /are the same/],
  [
    'whose types and tokens differ in number',
    { metadata: { 'tokenizer.ggml.token_type': { type: 'i32s', value: [1, 2, 3] } } },
    'damaged',
    /as many types/,
  ],
  [
    'whose eos is no token',
    { metadata: { 'tokenizer.ggml.eos_token_id': { type: 'u32', value: 4_000_000_000 } } },
    'unsupported',
    /eos_token_id/,
  ],
];

describe('model file', () => {
  it('loads when nothing is wrong with it', async () => {
    writeModel(path);
    const model = await loadModel(path);
    expect(model).toMatchObject({ name: 'crafted', experts: 4, expertsUsed: 2, tokens: { bos: 1, eos: 2 } });
    expect(model.vocabulary.texts[model.tokens.begin]).toBe('<|beginofutterance|>');
    model.native.free();
  });

  it.each(crafted)('%s is refused', async (_, model, problem, reason) => {
    writeModel(path, model);
    const error = await refusal();
    expect(error).toMatchObject({ problem, path });
    expect(error.message).toMatch(reason);
    expect(error.message).not.toMatch(/\n/);
    expect(error.message.startsWith(`${path}: `)).toBe(true);
  });

  it('that is not there is refused', async () => {
    expect(await refusal(join(directory, 'none.gguf'))).toMatchObject({ problem: 'missing' });
    expect(await refusal(directory)).toMatchObject({ name: 'ModelFileError' });
  });

  it.each([
    ['empty', () => Buffer.alloc(0)],
    ['text', () => Buffer.from('not a model at all, but long enough to hold a header')],
    ['cut short in its header', (bytes: Buffer) => bytes.subarray(0, 4000)],
    ['cut short in its weights', (bytes: Buffer) => bytes.subarray(0, bytes.length - 1000)],
    [
      'claiming a tensor count that it cannot hold',
      (bytes: Buffer) => {
        bytes.writeUInt32LE(0x7fffffff, 8);
        return bytes;
      },
    ],
  ])('that is %s is refused', async (_, change) => {
    damage(change);
    expect(await refusal()).toMatchObject({ problem: 'damaged' });
  });

  it('that is damaged anywhere loads or is refused in one line, 300 times, and never ends the process', async () => {
    writeModel(path);
    const whole = readFileSync(path);
    const headerBytes = whole.indexOf('blk.0.ffn_down_exps.weight') + 64;
    let refused = 0;
    for (let i = 0; i < 300; i++) {
      const [a, b] = philox(i, 0, 0);
      const bytes = Buffer.from(whole);
      // By turns: a bit anywhere, a byte among the counts and keys at the beginning, a byte among the tensors.
      const at = [a % headerBytes, a % 1200, headerBytes - 1 - (a % 900)][i % 3] as number;
      bytes[at] = i % 3 === 0 ? (bytes[at] as number) ^ (1 << (b % 8)) : b & 0xff;
      writeFileSync(path, bytes);
      const outcome = await loadModel(path).catch((error: unknown) => error);
      if (outcome instanceof Error) {
        refused++;
        expect(outcome).toMatchObject({ name: 'ModelFileError', path });
        expect(outcome.message).not.toMatch(/\n/);
      } else {
        (outcome as Model).native.free();
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});
