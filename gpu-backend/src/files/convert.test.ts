import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { convert } from './convert.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));
const shard = 'model-00002-of-00002.safetensors';

let work: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'huozi-convert-'));
});
afterEach(() => rm(work, { recursive: true }));

describe('convert', () => {
  // One file holds F16, F32 and BF16 inputs, subnormals, overflow, ties and blocks of zeros, a stack of experts
  // spread over two shards, tokens from all three tokenizer files, and rows that nothing names.
  it.each(['F32', 'F16', 'BF16', 'Q8_0'] as const)(
    "writes the very bytes of llama.cpp's converter as %s",
    async (type) => {
      const expected = JSON.parse(await readFile(join(fixtures, 'mixtral-hf.expected.json'), 'utf8'));
      const out = join(work, 'out.gguf');
      let total = 0;
      let written = 0;
      const result = await convert({
        folder: join(fixtures, 'mixtral-hf'),
        out,
        type,
        onStart: (bytes) => {
          total = bytes;
        },
        onProgress: (bytes) => {
          written += bytes;
        },
      });
      const bytes = await readFile(out);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(expected[type.toLowerCase()].sha256);
      expect(result).toEqual({
        tensors: expected[type.toLowerCase()].tensors.length,
        bytes: bytes.length,
        warnings: [],
      });
      expect([total, written]).toEqual([bytes.length, bytes.length]);
    },
  );
});

describe('convert refuses, in one line that names the file,', () => {
  let folder: string;
  beforeEach(async () => {
    // The converter takes general.name from the folder's name, so a copy keeps it.
    folder = join(work, 'mixtral-hf');
    await cp(join(fixtures, 'mixtral-hf'), folder, { recursive: true });
  });

  const editJson = async (name: string, change: (value: Record<string, never>) => object) => {
    const file = join(folder, name);
    await writeFile(file, JSON.stringify(change(JSON.parse(await readFile(file, 'utf8')))));
  };
  /** Renames or reshapes tensors without touching their bytes. */
  const editHeader = async (from: string, to: string) => {
    expect(to).toHaveLength(from.length);
    const file = join(folder, shard);
    const bytes = await readFile(file);
    const at = bytes.indexOf(from);
    expect(at).toBeGreaterThan(0);
    bytes.write(to, at);
    await writeFile(file, bytes);
  };

  const cases: [problem: string, damage: () => Promise<void>, message: RegExp][] = [
    ['a folder without weights', () => rm(folder, { recursive: true }), /mixtral-hf.*no such file or folder/],
    ['a missing shard', () => rm(join(folder, shard)), /model-00002-of-00002.safetensors: no such file/],
    ['a shard cut short', () => truncate(join(folder, shard), 60_000), /00002.*cut short: tensor model\./],
    ['a shard without its header', () => truncate(join(folder, shard), 100), /00002.*cut short/],
    [
      'a shard that is something else',
      () => writeFile(join(folder, shard), 'PK\x03\x04'.repeat(9)),
      /00002.*no safe/,
    ],
    [
      'an index that disagrees',
      () => editJson('model.safetensors.index.json', (index) => ({ ...index, weight_map: { more: shard } })),
      /index\.json: model-00002-of-00002.safetensors lacks tensor more/,
    ],
    [
      'an index that leads outside the folder',
      () =>
        editJson('model.safetensors.index.json', () => ({ weight_map: { a: '../../secret.safetensors' } })),
      /index\.json: names a file outside the folder/,
    ],
    [
      'a tensor of another shape',
      () => editJson('config.json', (config) => ({ ...config, intermediate_size: 96 })),
      /w1\.weight is \[64, 32\], and config.json makes it \[96, 32\]/,
    ],
    [
      'experts that are not all there',
      () => editJson('config.json', (config) => ({ ...config, num_local_experts: 5 })),
      /\[4, 32\], and config.json makes it \[5, 32\]|12 of the 15 expert matrices/,
    ],
    [
      'more layers than the shards have',
      () => editJson('config.json', (config) => ({ ...config, num_hidden_layers: 3 })),
      /tensor model\.layers\.2\.\S+ is missing/,
    ],
    [
      'a tensor it does not know',
      async () => {
        await rm(join(folder, 'model.safetensors.index.json'));
        await editHeader('self_attn.v_proj', 'self_attn.x_proj');
      },
      /x_proj\.weight has no place in the model/,
    ],
    [
      'an element type it does not read',
      () => editHeader('"F32"', '"I32"'),
      /is I32; F32, F16 and BF16 are read/,
    ],
    [
      'another architecture',
      () => editJson('config.json', (config) => ({ ...config, architectures: ['LlamaForCausalLM'] })),
      /config\.json: is a LlamaForCausalLM/,
    ],
    [
      'scaled positions',
      () => editJson('config.json', (config) => ({ ...config, rope_parameters: { rope_type: 'yarn' } })),
      /config\.json: scales its positions \(yarn\)/,
    ],
    [
      'a config that lacks a number',
      () => editJson('config.json', () => ({})),
      /config\.json: architectures/,
    ],
    [
      'a config that is no JSON',
      () => writeFile(join(folder, 'config.json'), '{'),
      /config\.json: is not valid JSON/,
    ],
    ['no tokenizer.model', () => rm(join(folder, 'tokenizer.model')), /tokenizer\.model: cannot be read/],
    [
      'a tokenizer.model that is something else',
      () => writeFile(join(folder, 'tokenizer.model'), 'version https://git-lfs.github.com/spec/v1'),
      /tokenizer\.model: is no SentencePiece model/,
    ],
    [
      'a file that is there already',
      () => writeFile(join(work, 'out.gguf'), 'keep me'),
      /out\.gguf: exists already/,
    ],
  ];

  it.each(cases)('%s', async (_, damage, message) => {
    await damage();
    const before = (await readdir(work)).sort();
    const error = await convert({ folder, out: join(work, 'out.gguf'), type: 'F16' }).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error?.name).toBe('FileToolError');
    expect(error?.message).toMatch(message);
    expect(error?.message).not.toContain('\n');
    // Neither a half-written file nor a temporary one, and nothing overwritten.
    expect((await readdir(work)).sort()).toEqual(before);
  });

  it('replaces what is there with force, and only then', async () => {
    const out = join(work, 'out.gguf');
    await writeFile(out, 'keep me');
    await convert({ folder, out, type: 'F16', force: true });
    expect((await readFile(out)).subarray(0, 4).toString()).toBe('GGUF');
    await writeFile(join(folder, shard), 'damaged');
    const before = await readFile(out);
    await expect(convert({ folder, out, type: 'F16', force: true })).rejects.toThrow(shard);
    expect(await readFile(out)).toEqual(before);
  });
});
