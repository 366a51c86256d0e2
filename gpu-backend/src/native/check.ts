/** Refuses a library that the layouts in structs.ts were not written for. A wrong offset must never become a crash. */
import koffi from 'koffi';
import { NativeMismatchError } from './errors.ts';
import * as structs from './structs.ts';

/** What `@node-llama-cpp/*` 3.21.1 says: built from the tag v0.4.0, which counts itself as a development build. */
const expectedVersion = /^0\.4\.0(-dev)?$/;

/** The functions that are safe to call before anything is known about the library. */
interface Checkable {
  llama_version(): string;
  llama_model_default_params(): Record<string, unknown>;
  llama_context_default_params(): Record<string, unknown>;
  llama_model_quantize_default_params(): Record<string, unknown>;
  ggml_threadpool_params_init(params: ArrayBuffer, threads: number): void;
  ggml_tensor_overhead(): number;
}

/** @throws NativeMismatchError naming the first thing that differs */
export function checkLibrary(lib: Checkable): void {
  const version = lib.llama_version();
  if (!expectedVersion.test(version)) throw new NativeMismatchError('llama_version()', version, '0.4.0');

  compare('llama_model_params', lib.llama_model_default_params(), structs.modelDefaults);
  compare('llama_context_params', lib.llama_context_default_params(), structs.contextDefaults);
  compare('llama_model_quantize_params', lib.llama_model_quantize_default_params(), structs.quantizeDefaults);

  const pool = new ArrayBuffer(koffi.sizeof(structs.threadpoolParams));
  lib.ggml_threadpool_params_init(pool, structs.threadpoolDefaults.n_threads);
  compare('ggml_threadpool_params', koffi.decode(pool, structs.threadpoolParams), structs.threadpoolDefaults);

  const overhead = lib.ggml_tensor_overhead();
  if (overhead !== structs.tensorOverhead) {
    throw new NativeMismatchError('ggml_tensor_overhead()', overhead, structs.tensorOverhead);
  }
}

function compare(struct: string, found: Record<string, unknown>, expected: Record<string, unknown>): void {
  for (const [field, value] of Object.entries(expected)) {
    if (found[field] !== value) throw new NativeMismatchError(`${struct}.${field}`, found[field], value);
  }
}
