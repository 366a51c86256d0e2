import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convert } from './convert.ts';
import type { TensorType } from './gguf-header.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/', import.meta.url));
const folder = join(fixtures, 'mixtral-hf');

let out: string;
beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'huozi-convert-'));
});
afterAll(() => rm(out, { recursive: true }));

describe('convert', () => {
  it.each(['F32', 'F16', 'BF16', 'Q8_0'] as const)(
    '%s is what the converter of llama.cpp makes',
    async (type: TensorType) => {
      const expected = JSON.parse(await readFile(join(fixtures, 'mixtral-hf.expected.json'), 'utf8'));
      const file = join(out, `${type}.gguf`);
      await convert({ folder, out: file, type });
      const sha256 = createHash('sha256')
        .update(await readFile(file))
        .digest('hex');
      expect(sha256).toBe(expected[type.toLowerCase()].sha256);
    },
  );
});
