/** What llama.cpp itself says, for tests that check our figures against it. CPU only, whatever is installed. */
import { promisify } from 'node:util';
import koffi from 'koffi';
import { loadLibrary, type Pointer } from '../library.ts';
import { registerLog } from '../log.ts';
import { findPackage } from '../packages.ts';

const callbackType = koffi.pointer(koffi.proto('void', ['int32', 'str', 'void *']));

export interface NoAllocReport {
  /** Bytes of all tensors. */
  weights: number;
  /** Bytes, as logged in hundredths of a MiB. */
  kv: number;
  compute: number;
}

export interface NoAllocOptions {
  contextTokens: number;
  batchTokens: number;
  sequences: number;
  /** `enum ggml_type`. */
  kvType: number;
}

/** Loads a model and makes a context without allocating either (`no_alloc`), as the engine would make them. */
export async function reportNoAlloc(path: string, options: NoAllocOptions): Promise<NoAllocReport> {
  const lib = loadLibrary();
  const llama = koffi.load(findPackage().llama);
  const modelSize = llama.func('llama_model_size', 'uint64', ['void *']);
  const lines: string[] = [];
  const callback = koffi.register((_level: number, text: string | null) => {
    if (text !== null) lines.push(text);
  }, callbackType);
  lib.llama_log_set(callback, null);
  try {
    // A list of no devices: else a GPU that is there would take part.
    const devices = new BigUint64Array(new ArrayBuffer(8));
    const model: Pointer | null = await promisify(lib.llama_model_load_from_file.async)(path, {
      ...lib.llama_model_default_params(),
      devices: koffi.address(devices),
      no_alloc: true,
      load_mode: 0,
    });
    if (model === null) throw new Error(`llama.cpp does not load ${path}: ${lines.slice(-3).join(' ')}`);
    const context: Pointer | null = await promisify(lib.llama_init_from_model.async)(model, {
      ...lib.llama_context_default_params(),
      n_ctx: options.contextTokens,
      n_batch: options.batchTokens,
      n_ubatch: Math.min(options.batchTokens, 512),
      n_seq_max: options.sequences,
      n_outputs_max: options.sequences,
      kv_unified: true,
      type_k: options.kvType,
      type_v: options.kvType,
    });
    const weights = Number(modelSize(model));
    if (context !== null) lib.llama_free(context);
    lib.llama_model_free(model);
    return {
      weights,
      kv: logged(lines, /size = +([\d.]+) MiB \( *\d+ cells/),
      compute: logged(lines, /CPU compute buffer size = +([\d.]+) MiB/),
    };
  } finally {
    lib.llama_log_set(registerLog(), null);
    koffi.unregister(callback);
  }
}

function logged(lines: readonly string[], pattern: RegExp): number {
  const mebibytes = lines.map((line) => pattern.exec(line)?.[1]).find((found) => found !== undefined);
  if (mebibytes === undefined) throw new Error(`llama.cpp's log holds no ${pattern}`);
  return Number(mebibytes) * 2 ** 20;
}

/** ggml's own names, values a block and bytes a block, by type number; a removed type has no bytes. */
export function ggmlTypeTable(): { name: string; blockSize: number; blockBytes: number }[] {
  loadLibrary();
  const llama = koffi.load(findPackage().llama);
  const name = llama.func('ggml_type_name', 'str', ['int32']);
  const blockSize = llama.func('ggml_blck_size', 'int64', ['int32']);
  const typeSize = llama.func('ggml_type_size', 'size_t', ['int32']);
  const count = 43;
  return Array.from({ length: count }, (_, id) => ({
    name: String(name(id)).toUpperCase(),
    blockSize: Number(blockSize(id)),
    blockBytes: Number(typeSize(id)),
  }));
}
