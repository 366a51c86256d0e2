import koffi from 'koffi';
import { describe, expect, it } from 'vitest';
import { checkLibrary } from './check.ts';
import { NativeMismatchError } from './errors.ts';
import { loadLibrary } from './library.ts';
import * as structs from './structs.ts';

/** A library as structs.ts expects it, with one thing changed. */
function library(change: Partial<Parameters<typeof checkLibrary>[0]> = {}) {
  return {
    llama_version: () => '0.4.0',
    llama_model_default_params: () => structs.modelDefaults,
    llama_context_default_params: () => structs.contextDefaults,
    llama_model_quantize_default_params: () => structs.quantizeDefaults,
    ggml_threadpool_params_init: (params: ArrayBuffer, threads: number) =>
      koffi.encode(params, structs.threadpoolParams, {
        ...structs.threadpoolDefaults,
        n_threads: threads,
        cpumask: new Array(512).fill(false),
      }),
    ggml_tensor_overhead: () => structs.tensorOverhead,
    ...change,
  };
}

/** What a reader with one field too many or too few sees: every value in the place of its neighbour. */
function shifted(defaults: Record<string, unknown>): Record<string, unknown> {
  const values = Object.values(defaults);
  return Object.fromEntries(
    Object.keys(defaults).map((field, i) => [field, values[(i + 1) % values.length]]),
  );
}

describe('library check', () => {
  it('accepts the installed library', () => {
    expect(() => checkLibrary(loadLibrary())).not.toThrow();
    expect(() => checkLibrary(library())).not.toThrow();
  });

  it('refuses another version before it reads a single struct', () => {
    const unread = () => expect.unreachable('read a struct of unknown layout');
    const other = library({ llama_version: () => '0.5.0', llama_model_default_params: unread });
    expect(() => checkLibrary(other)).toThrow(new NativeMismatchError('llama_version()', '0.5.0', '0.4.0'));
  });

  it.each([
    ['llama_model_params', { llama_model_default_params: () => shifted(structs.modelDefaults) }],
    ['llama_context_params', { llama_context_default_params: () => shifted(structs.contextDefaults) }],
    [
      'llama_model_quantize_params',
      { llama_model_quantize_default_params: () => shifted(structs.quantizeDefaults) },
    ],
    ['ggml_threadpool_params', { ggml_threadpool_params_init: () => {} }],
    ['ggml_tensor_overhead', { ggml_tensor_overhead: () => structs.tensorOverhead + 8 }],
  ])('refuses a library whose %s lies otherwise', (name, change) => {
    expect(() => checkLibrary(library(change))).toThrow(NativeMismatchError);
    expect(() => checkLibrary(library(change))).toThrow(name);
  });
});
