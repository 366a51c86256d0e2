/** The file to load for a model whose experts have a tensor each: a copy of it beside it, made when first needed. */
import { stat } from 'node:fs/promises';
import { writeOutputFile } from '../files/output-file.ts';
import { readSource, stack, writeGathered } from '../gguf/stack-experts.ts';
import { ModelFileError } from './model-errors.ts';

/** @throws ModelFileError in one line */
export async function stackedModel(path: string): Promise<string> {
  const copy = path.replace(/(\.gguf)?$/i, '.stacked.gguf');
  const [old, made] = [await stat(path), await stat(copy).catch(() => undefined)];
  if (made && made.mtimeMs >= old.mtimeMs) return copy;
  try {
    const source = await readSource(path);
    const tensors = stack(path, source.tensors);
    await writeOutputFile(copy, true, (file) => writeGathered(path, source, tensors, file));
  } catch (error) {
    const reason = `has one tensor an expert, and its copy with stacked ones cannot be written: ${(error as Error).message}`;
    throw new ModelFileError('not_loadable', path, reason);
  }
  return copy;
}
