/** A random model must be a model: activations neither vanish nor grow, every expert is used, tokens are words. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { sizes } from '../../../bench/models.ts';
import { createEvaluator } from '../../engine/evaluate.ts';
import { loadModel } from '../../engine/model.ts';
import { writeSynthetic } from './synthetic.ts';

const folder = mkdtempSync(join(tmpdir(), 'huozi-random-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each(['Q4_0', 'Q8_0'] as const)('%s', async (fileType) => {
  const path = join(folder, `${fileType}.gguf`);
  const shape = sizes.tiny;
  writeSynthetic(path, { shape, fileType, randomWeights: true });
  const model = await loadModel(path);
  const tokens = 128;
  const evaluator = await createEvaluator(model, tokens, 1);
  const ids = Int32Array.from({ length: tokens }, (_, i) => 300 + ((i * 7919) % (shape.vocabulary - 310)));
  const { logits, experts } = await evaluator.evaluate(ids);
  evaluator.close();
  model.native.free();

  const rms = Math.sqrt(logits.reduce((sum, logit) => sum + logit * logit, 0) / logits.length);
  expect(rms).toBeGreaterThan(0.3);
  expect(rms).toBeLessThan(3);
  const drawn = new Set<number>();
  for (let token = 0; token < tokens; token++) {
    const row = logits.subarray(token * shape.vocabulary, (token + 1) * shape.vocabulary);
    drawn.add(row.indexOf(Math.max(...row)));
  }
  expect(drawn.size).toBeGreaterThan(20);
  for (const id of drawn) expect(model.vocabulary.texts[id]).toMatch(/^▁词/);
  for (const layer of experts) expect(new Set(layer).size).toBe(shape.experts);
});
