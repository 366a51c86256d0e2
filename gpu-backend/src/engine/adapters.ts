/** The LoRA adapters of an engine, by the names that requests give. */
import { stat } from 'node:fs/promises';
import { type NativeAdapter, openAdapter } from '../native/adapters.ts';
import type { NativeModel } from '../native/model.ts';
import { AdapterError, UnknownAdapterError } from './errors.ts';
import { loadableAdapter } from './peft-folder.ts';
import type { AdapterFile } from './types.ts';

/** Index 0 is the model alone. */
export class Adapters {
  readonly names: readonly string[];
  readonly native: readonly (NativeAdapter | undefined)[];
  /** What tells KV cells of one adapter from those of others, also across a restart with another file. */
  readonly #marks: readonly string[];

  private constructor(names: string[], native: NativeAdapter[], marks: string[]) {
    this.names = names;
    this.native = [undefined, ...native];
    this.#marks = ['', ...marks];
  }

  /** @throws AdapterError that says in one line which one does not load and why */
  static async load(model: NativeModel, modelPath: string, files: readonly AdapterFile[]): Promise<Adapters> {
    const native: NativeAdapter[] = [];
    const marks: string[] = [];
    for (const { name, path: given, scale = 1 } of files) {
      const path = await loadableAdapter(given, modelPath).catch((error: Error) => {
        throw new AdapterError(`adapter ${name}: ${error.message}`);
      });
      const found = await stat(path).catch(() => undefined);
      if (!found?.isFile()) throw new AdapterError(`adapter ${name}: there is no file ${path}`);
      const adapter = await openAdapter(model, path, scale);
      if ('failure' in adapter) throw new AdapterError(`adapter ${name}: ${path}: ${adapter.failure}`);
      native.push(adapter);
      marks.push(`\n${name}\n${scale}\n${found.size}\n${found.mtimeMs}`);
    }
    return new Adapters(
      files.map(({ name }) => name),
      native,
      marks,
    );
  }

  /** @throws UnknownAdapterError */
  indexOf(name: string | undefined): number {
    if (name === undefined) return 0;
    const index = this.names.indexOf(name) + 1;
    if (index === 0) throw new UnknownAdapterError(name);
    return index;
  }

  /** What the same prompt of the same tenant computes to differs with the adapter. */
  cacheSpace(tenant: string, index: number): string {
    return tenant + this.#marks[index];
  }
}
