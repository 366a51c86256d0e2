import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { quantizeFile } from '../native/quantize.ts';
import { readHeader } from './header.ts';
import { type FileType, mixedType } from './quant-mix.ts';
import { type Shape, writeSynthetic } from './testing/synthetic.ts';

const folder = mkdtempSync(join(tmpdir(), 'huozi-mix-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** `enum llama_ftype`. */
const fileTypeIds: Partial<Record<FileType, number>> = {
  Q4_0: 2,
  Q8_0: 7,
  Q2_K: 10,
  Q3_K_S: 11,
  Q3_K_M: 12,
  Q3_K_L: 13,
  Q4_K_S: 14,
  Q4_K_M: 15,
  Q5_K_M: 17,
  Q6_K: 18,
};

const shapes: Record<string, Shape> = {
  // Enough layers for the rules that count eighths and sixteenths of them.
  'eight experts': {
    layers: 16,
    embedding: 256,
    feedForward: 256,
    heads: 4,
    kvHeads: 1,
    experts: 8,
    expertsUsed: 2,
    vocabulary: 320,
    context: 64,
  },
  'rows that K-quants do not divide': {
    layers: 4,
    embedding: 96,
    feedForward: 160,
    heads: 3,
    kvHeads: 1,
    experts: 4,
    expertsUsed: 2,
    vocabulary: 320,
    context: 64,
  },
};

for (const [what, shape] of Object.entries(shapes)) {
  test(`${what}: llama.cpp's quantizer chooses the same types`, async () => {
    const source = join(folder, 'f16.gguf');
    writeSynthetic(source, { shape, fileType: 'F16' });
    const model = { layers: shape.layers, experts: shape.experts, groupedHeads: shape.heads / shape.kvHeads };
    for (const [fileType, id] of Object.entries(fileTypeIds) as [FileType, number][]) {
      const quantised = join(folder, `${fileType}.gguf`);
      expect(
        await quantizeFile(source, quantised, { fileType: id, allowRequantize: false, threads: 1 }),
        fileType,
      ).toBeUndefined();
      const { tensors } = await readHeader(quantised);
      const theirs = Object.fromEntries(tensors.map(({ name, type }) => [name, type.name]));
      const ours = Object.fromEntries(
        tensors.map(({ name, shape }) => [name, mixedType(fileType, name, shape, model)]),
      );
      expect(ours, fileType).toEqual(theirs);
    }
  });
}
