/** Which of the installed `@node-llama-cpp/*` packages to use. No configuration: the fastest that loads. */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import koffi from 'koffi';
import { NativeLibraryError } from './errors.ts';

type Backend = 'cuda' | 'vulkan' | 'metal' | 'cpu';
const backends: readonly Backend[] = ['cuda', 'vulkan', 'metal', 'cpu'];

/** The libraries of one variant. All paths are absolute. */
export interface NativePackage {
  backend: Backend;
  /** Where ggml looks for its backends (14 CPU variants, CUDA, …). */
  directory: string;
  ggml: string;
  llama: string;
  /** A GPU backend that lies outside `directory`: the CUDA 12 build of the `-cuda-ext` package. */
  extraBackend: string | undefined;
}

const require = createRequire(import.meta.url);

/** @throws NativeLibraryError when nothing fits, or `HUOZI_LLAMA_BACKEND` names something that does not load */
export function findPackage(forced = process.env.HUOZI_LLAMA_BACKEND): NativePackage {
  if (forced !== undefined && !backends.includes(forced as Backend)) {
    throw new NativeLibraryError(
      `HUOZI_LLAMA_BACKEND is "${forced}", expected one of ${backends.join(', ')}`,
    );
  }
  const reasons: string[] = [];
  for (const backend of forced === undefined ? backends : [forced as Backend]) {
    const found = tryBackend(backend);
    if (typeof found !== 'string') return found;
    reasons.push(found);
  }
  throw new NativeLibraryError(`no llama.cpp library for ${platform()}: ${reasons.join('; ')}`);
}

/** The package of `backend` if it is installed and its GPU library loads, else why not. */
function tryBackend(backend: Backend): NativePackage | string {
  const name = packageName(backend);
  const directory = binaries(name);
  if (directory === undefined) return `${name} is not installed`;
  const files = readdirSync(directory);
  const ggml = files.find((file) => /^(lib)?ggml(\.\w+)?\.v[\d.]+\.(so|dylib|dll)$/.test(file));
  const llama = files.find((file) => /^(lib)?llama(\.\w+)?\.v[\d.]+\.(so|dylib|dll)$/.test(file));
  if (!ggml || !llama) return `${name} holds no libllama`;
  const found = { backend, directory, ggml: join(directory, ggml), llama: join(directory, llama) };
  if (backend !== 'cuda' && backend !== 'vulkan') return { ...found, extraBackend: undefined };

  // Loading the GPU backend's library is the test: without a driver or runtime of its version it does not.
  const inside = files.find((file) => new RegExp(`^(lib)?ggml-${backend}\\.(so|dll)$`).test(file));
  const failure = inside ? loadFailure(join(directory, inside)) : `${name} holds no ggml-${backend}`;
  if (failure === undefined) return { ...found, extraBackend: undefined };
  const older = binaries(`${name}-ext`, 'fallback');
  const outside = older && readdirSync(older).find((file) => /^(lib)?ggml-\w+\.(so|dll)$/.test(file));
  if (!older || !outside) return failure;
  const extraBackend = join(older, outside);
  // It finds its ggml-base only if that is loaded before it.
  const base = files.find((file) => /^(lib)?ggml-base\.(so|dylib|dll)$/.test(file));
  const olderFailure = (base && loadFailure(join(directory, base))) ?? loadFailure(extraBackend);
  return olderFailure === undefined ? { ...found, extraBackend } : `${failure}; ${olderFailure}`;
}

function platform(): string {
  const names: Partial<Record<NodeJS.Platform, string>> = { darwin: 'mac', win32: 'win' };
  return `${names[process.platform] ?? process.platform}-${process.arch}`;
}

function packageName(backend: Backend): string {
  // Macs with Apple silicon have one package, with Metal and the CPU in it.
  if (process.platform === 'darwin' && process.arch === 'arm64') return '@node-llama-cpp/mac-arm64-metal';
  return `@node-llama-cpp/${platform()}${backend === 'cpu' ? '' : `-${backend}`}`;
}

function binaries(name: string, ...below: string[]): string | undefined {
  try {
    const bins = join(dirname(require.resolve(name)), '..', 'bins');
    const [variant] = readdirSync(bins);
    return variant === undefined ? undefined : join(bins, variant, ...below);
  } catch {
    return undefined;
  }
}

function loadFailure(path: string): string | undefined {
  try {
    koffi.load(path);
    return undefined;
  } catch (error) {
    return (error as Error).message.replace(/^Failed to load shared library: /, '');
  }
}
