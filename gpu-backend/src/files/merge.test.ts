import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCheckpoint } from './checkpoint.ts';
import { merge } from './merge.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));
const a = join(fixtures, 'mixtral-hf');

let work: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'huozi-merge-'));
});
afterEach(() => rm(work, { recursive: true }));

/** A copy of the fixture whose tensors' elements come in another order. */
async function reorder(name: string, order: (elements: Uint8Array[]) => Uint8Array[]): Promise<string> {
  const folder = join(work, name);
  await cp(a, folder, { recursive: true });
  for (const { file, offset, bytes, shape } of (await openCheckpoint(folder)).tensors.values()) {
    const content = await readFile(file);
    const size = bytes / shape.reduce((product, n) => product * n, 1);
    const elements = Array.from({ length: bytes / size }, (_, i) =>
      Uint8Array.from(content.subarray(offset + i * size, offset + (i + 1) * size)),
    );
    content.set(Buffer.concat(order(elements)), offset);
    await writeFile(file, content);
  }
  return folder;
}

describe('merge', () => {
  it('gives the bytes of torch for three checkpoints, in the layout of the first', async () => {
    const expected = JSON.parse(await readFile(join(fixtures, 'mixtral-hf.expected.json'), 'utf8')).merged;
    const reversed = await reorder('reversed', (elements) => elements.toReversed());
    const moved = await reorder('moved', (elements) => [elements.at(-1)!, ...elements.slice(0, -1)]);
    const out = join(work, 'out');
    let written = 0;
    const result = await merge({
      inputs: [
        { folder: a, weight: 4 },
        { folder: reversed, weight: 3 },
        { folder: moved, weight: 3 },
      ],
      out,
      onProgress: (bytes) => {
        written += bytes;
      },
    });
    const merged = await openCheckpoint(out);
    const hashes: Record<string, string> = {};
    for (const { name, file, offset, bytes } of merged.tensors.values()) {
      const content = (await readFile(file)).subarray(offset, offset + bytes);
      hashes[name] = createHash('sha256').update(content).digest('hex');
    }
    expect(hashes).toEqual(expected);
    expect(result).toEqual({ tensors: merged.tensors.size, shards: 2, bytes: written });
    expect((await readdir(out)).sort()).toEqual((await readdir(a)).sort());
    for (const name of ['config.json', 'tokenizer.model', 'model.safetensors.index.json']) {
      expect(await readFile(join(out, name))).toEqual(await readFile(join(a, name)));
    }
  });

  it('takes checkpoints that are cut into shards in another way', async () => {
    const single = join(work, 'single');
    await mkdir(single);
    const places = [...(await openCheckpoint(a)).tensors.values()].toReversed();
    let end = 0;
    const header = Object.fromEntries(
      places.map(({ name, dtype, shape, bytes }) => {
        end += bytes;
        return [name, { dtype, shape, data_offsets: [end - bytes, end] }];
      }),
    );
    const json = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    const parts = await Promise.all(
      places.map(async ({ file, offset, bytes }) => (await readFile(file)).subarray(offset, offset + bytes)),
    );
    await writeFile(join(single, 'model.safetensors'), Buffer.concat([length, json, ...parts]));
    const out = join(work, 'out');
    await merge({
      inputs: [
        { folder: a, weight: 1 },
        { folder: single, weight: 1 },
      ],
      out,
    });
    for (const shard of ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']) {
      expect(await readFile(join(out, shard))).toEqual(await readFile(join(a, shard)));
    }
  });

  const edit = async (folder: string, from: string, to: string) => {
    await rm(join(folder, 'model.safetensors.index.json'));
    const file = join(folder, 'model-00002-of-00002.safetensors');
    const content = await readFile(file);
    content.write(to, content.indexOf(from));
    await writeFile(file, content);
  };

  it.each([
    [
      'a name',
      '1.self_attn.k_proj',
      '1.self_attn.z_proj',
      /lacks tensor model\.layers\.1\.self_attn\.k_proj/,
    ],
    ['a shape', '[16,32]', '[32,16]', /tensor model\.layers\.1\.\S+ is \[32, 16\], and in .* \[16, 32\]/],
    ['an element type it cannot read', '"F32"', '"I32"', /tensor \S+ is I32/],
  ])('refuses checkpoints that differ in %s, and leaves nothing behind', async (_, from, to, message) => {
    const b = join(work, 'b');
    await cp(a, b, { recursive: true });
    await edit(b, from, to);
    const inputs = [a, b].map((folder) => ({ folder, weight: 1 }));
    await expect(merge({ inputs, out: join(work, 'out') })).rejects.toThrow(message);
    expect(await readdir(work)).toEqual(['b']);
  });

  it('does not touch a folder that holds something, unless forced, and never an input', async () => {
    const b = join(work, 'b');
    await cp(a, b, { recursive: true });
    const inputs = [a, b].map((folder) => ({ folder, weight: 1 }));
    const out = join(work, 'out');
    await merge({ inputs, out });
    await writeFile(join(out, 'notes.txt'), 'mine');
    await expect(merge({ inputs, out })).rejects.toThrow(/exists already/);
    await merge({ inputs, out, force: true });
    expect(await readFile(join(out, 'notes.txt'), 'utf8')).toBe('mine');
    await expect(merge({ inputs, out: b, force: true })).rejects.toThrow(/one of the checkpoints/);
    expect((await readdir(work)).sort()).toEqual(['b', 'out']);
  });
});
