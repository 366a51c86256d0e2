/** The file to load for an adapter that PEFT saved as a folder: a copy for llama.cpp in it, made when first needed. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { convertLora } from '../files/convert-lora.ts';
import { adapterFiles } from '../files/peft-adapter.ts';

/**
 * @returns `path` itself if that is no folder
 * @throws FileToolError in one line, and GgufError about the model
 */
export async function loadableAdapter(path: string, modelPath: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return path;
  const copy = join(path, 'adapter_model.gguf');
  const [made = 0, ...from] = await Promise.all(
    [copy, ...Object.values(adapterFiles).map((name) => join(path, name))].map((file) =>
      stat(file).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    ),
  );
  if (made === 0 || made < Math.max(...from)) {
    await convertLora({ folder: path, base: modelPath, out: copy, force: true });
  }
  return copy;
}
