import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NativeLibraryError } from './errors.ts';
import { findPackage } from './packages.ts';

describe('package of prebuilt libraries', () => {
  it('is found without configuration', () => {
    const { backend, ggml, llama, directory } = findPackage(undefined);
    expect(['cuda', 'vulkan', 'metal', 'cpu']).toContain(backend);
    for (const path of [ggml, llama, directory]) expect(existsSync(path), path).toBe(true);
  });

  it('can be forced, and says what it knows instead', () => {
    expect(findPackage('cpu').backend).toBe('cpu');
    expect(() => findPackage('tpu')).toThrow(NativeLibraryError);
    expect(() => findPackage('tpu')).toThrow(
      'HUOZI_LLAMA_BACKEND is "tpu", expected one of cuda, vulkan, metal, cpu',
    );
  });
});
