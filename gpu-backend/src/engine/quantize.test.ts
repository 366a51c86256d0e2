import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadModel } from './model.ts';
import { QuantizeError, quantize } from './quantize.ts';
import { writeModel } from './testing/crafted-model.ts';
import { tinyModel } from './testing/generate.ts';

const directory = mkdtempSync(join(tmpdir(), 'huozi-quantize-'));
afterAll(() => rmSync(directory, { recursive: true }));

it('writes another type, half as large, that loads', async () => {
  const [f32, f16] = [join(directory, 'f32.gguf'), join(directory, 'f16.gguf')];
  writeModel(f32);
  await quantize(f32, f16, { type: 'F16', threads: 1 });
  expect(statSync(f16).size).toBeLessThan(0.7 * statSync(f32).size);
  (await loadModel(f16)).native.free();
});

it('says in one line why not', async () => {
  const output = join(directory, 'none.gguf');
  const twice = await quantize(tinyModel, output, { type: 'F16', threads: 1 }).catch(
    (error: unknown) => error,
  );
  expect(twice).toBeInstanceOf(QuantizeError);
  expect((twice as Error).message).toMatch(/huozi-tiny-q8_0\.gguf: .*requantiz/);
  const missing = await quantize(output, join(directory, 'x.gguf'), { type: 'F16' }).catch(
    (error: unknown) => error,
  );
  expect(missing).toBeInstanceOf(QuantizeError);
  expect((missing as Error).message).not.toMatch(/\n/);
});
