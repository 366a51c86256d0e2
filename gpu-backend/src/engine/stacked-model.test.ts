/** A file as they were before spring 2024, made of huozi-tiny: one tensor an expert. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readHeader } from '../gguf/header.ts';
import { type Gathered, readSource, stack, writeGathered } from '../gguf/stack-experts.ts';
import { loadEngine } from './engine.ts';
import { ask, start, tinyModel } from './testing/generate.ts';

const folder = mkdtempSync(join(tmpdir(), 'huozi-stacked-'));
const old = join(folder, 'old.gguf');
const copy = join(folder, 'old.stacked.gguf');
afterAll(() => rmSync(folder, { recursive: true }));

const stackedName = /^(blk\.\d+\.ffn_(?:gate|up|down))_exps\.weight$/;

function unstacked(tensors: readonly Gathered[]): Gathered[] {
  return tensors.flatMap((tensor) => {
    const prefix = stackedName.exec(tensor.name)?.[1];
    const [part] = tensor.parts;
    const experts = tensor.shape[2];
    if (!prefix || !part || !experts) return [tensor];
    const bytes = part.bytes / experts;
    return Array.from({ length: experts }, (_, i) => ({
      ...tensor,
      name: `${prefix}.${i}.weight`,
      shape: tensor.shape.slice(0, 2),
      parts: [{ offset: part.offset + i * bytes, bytes }],
    }));
  });
}

beforeAll(async () => {
  const source = await readSource(tinyModel);
  const file = await open(old, 'w');
  await writeGathered(tinyModel, source, unstacked(source.tensors), file);
  await file.close();
});

async function answer(modelPath: string) {
  const engine = await loadEngine({ modelPath, slots: 1, contextTokens: 256, batchTokens: 64, threads: 1 });
  try {
    return (await start(engine, { promptIds: ask(engine, '请从一数到一百。') }).answer).ids;
  } finally {
    await engine.close();
  }
}

test('it loads, answers as the stacked one does, and is copied once', async () => {
  const names = (await readHeader(old)).tensors.map(({ name }) => name);
  expect(names).toContain('blk.0.ffn_gate.7.weight');
  expect(names.some((name) => name.includes('_exps'))).toBe(false);
  const expected = await answer(tinyModel);
  expect(await answer(old)).toEqual(expected);
  const made = statSync(copy);
  expect(await answer(old)).toEqual(expected);
  expect(statSync(copy).ino).toBe(made.ino);
  // A newer original makes a new copy.
  const later = new Date(made.mtimeMs + 10_000);
  utimesSync(old, later, later);
  await answer(old);
  expect(statSync(copy).ino).not.toBe(made.ino);
});

test('the copy is, tensor for tensor, what it was made of', async () => {
  const [original, restored] = [await readHeader(tinyModel), await readHeader(copy)];
  expect(restored.tensors).toEqual(original.tensors);
  expect(restored.metadata).toEqual(original.metadata);
});

test('experts that lack or differ are refused by name', () => {
  const part = { offset: 0, bytes: 64 };
  const expert = (i: number, type = 8): Gathered => ({
    name: `blk.3.ffn_up.${i}.weight`,
    shape: [32, 2],
    type,
    parts: [part],
  });
  expect(stack('f', [expert(1), expert(0)])).toEqual([
    { name: 'blk.3.ffn_up_exps.weight', shape: [32, 2, 2], type: 8, parts: [part, part] },
  ]);
  expect(() => stack('f', [expert(0), expert(2)])).toThrow(/f: .*blk\.3\.ffn_up_exps\.weight lack or differ/);
  expect(() => stack('f', [expert(0), expert(1, 2)])).toThrow(/lack or differ/);
});

test('a copy that cannot be written is said in one line', async () => {
  const alone = join(folder, 'alone.gguf');
  copyFileSync(old, alone);
  // A folder in the copy's place, which even root cannot replace by a file.
  mkdirSync(join(folder, 'alone.stacked.gguf', 'full'), { recursive: true });
  const past = new Date(0);
  utimesSync(join(folder, 'alone.stacked.gguf'), past, past);
  await expect(answer(alone)).rejects.toThrow(/alone\.gguf: has one tensor an expert, .*cannot be written: /);
});
