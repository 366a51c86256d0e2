/** The one place that loads llama.cpp: once a process, in the order that its libraries need. */
import koffi, { type LibraryHandle, type TypeObject } from 'koffi';
import { checkLibrary } from './check.ts';
import { NativeLibraryError } from './errors.ts';
import { registerLog, withLog } from './log.ts';
import { findPackage } from './packages.ts';
import * as structs from './structs.ts';

/** A native address. */
export type Pointer = bigint;

export type Library = ReturnType<typeof bind> & {
  version: string;
  /** Backend libraries in use, file names such as `libggml-cpu-zen4.so`. */
  backends: readonly string[];
  /** Devices that can compute, such as `CUDA0 (NVIDIA L4)`. */
  devices: readonly string[];
};

let loaded: Library | undefined;

/** @throws NativeLibraryError if no library loads, NativeMismatchError if it is another build than expected */
export function loadLibrary(): Library {
  loaded ??= load();
  return loaded;
}

function load(): Library {
  const found = findPackage();
  let functions: ReturnType<typeof bind>;
  try {
    functions = bind(koffi.load(found.ggml), koffi.load(found.llama));
  } catch (error) {
    throw new NativeLibraryError(`llama.cpp's library does not load: ${(error as Error).message}`);
  }
  checkLibrary(functions);
  functions.llama_log_set(registerLog(), null);

  const backends: string[] = [];
  withLog(
    (line) => {
      const file = /loaded .* backend from (.*\S)/.exec(line)?.[1];
      if (file) backends.push(file.split(/[\\/]/).at(-1) ?? file);
    },
    () => {
      functions.ggml_backend_load_all_from_path(found.directory);
      if (found.extraBackend) functions.ggml_backend_load(found.extraBackend);
    },
  );
  functions.llama_backend_init();

  const devices: string[] = [];
  for (let i = 0; i < functions.ggml_backend_dev_count(); i++) {
    const device = functions.ggml_backend_dev_get(i);
    devices.push(
      `${functions.ggml_backend_dev_name(device)} (${functions.ggml_backend_dev_description(device).trim()})`,
    );
  }
  if (devices.length === 0)
    throw new NativeLibraryError(`no backend in ${found.directory} runs on this machine`);
  return { ...functions, version: functions.llama_version(), backends, devices };
}

/** Function tables. Pointers are addresses; `.async` variants exist for each, and are used where native code is slow. */
function bind(ggml: LibraryHandle, llama: LibraryHandle) {
  // libllama depends on libggml and libggml-base, so their symbols are found through it as well.
  const lib = (name: string, result: TypeObject | string, args: (TypeObject | string)[]) => {
    try {
      return llama.func(name, result, args);
    } catch {
      return ggml.func(name, result, args);
    }
  };
  /** C++ functions under their mangled names, which not every platform exports. */
  const optional = (name: string, result: TypeObject | string, args: (TypeObject | string)[]) => {
    try {
      return llama.func(name, result, args);
    } catch {
      return undefined;
    }
  };
  const p = 'void *';
  return {
    llama_version: lib('llama_version', 'str', []),
    llama_log_set: lib('llama_log_set', 'void', [p, p]),
    llama_backend_init: lib('llama_backend_init', 'void', []),

    llama_model_default_params: lib('llama_model_default_params', structs.modelParams, []),
    llama_context_default_params: lib('llama_context_default_params', structs.contextParams, []),
    llama_model_quantize_default_params: lib(
      'llama_model_quantize_default_params',
      structs.quantizeParams,
      [],
    ),
    ggml_threadpool_params_init: lib('ggml_threadpool_params_init', 'void', [p, 'int32']),
    ggml_tensor_overhead: lib('ggml_tensor_overhead', 'size_t', []),

    ggml_backend_load_all_from_path: lib('ggml_backend_load_all_from_path', 'void', ['str']),
    ggml_backend_load: lib('ggml_backend_load', p, ['str']),
    ggml_backend_dev_count: lib('ggml_backend_dev_count', 'size_t', []),
    ggml_backend_dev_get: lib('ggml_backend_dev_get', p, ['size_t']),
    ggml_backend_dev_name: lib('ggml_backend_dev_name', 'str', [p]),
    ggml_backend_dev_description: lib('ggml_backend_dev_description', 'str', [p]),
    ggml_backend_dev_type: lib('ggml_backend_dev_type', 'int32', [p]),
    ggml_backend_dev_memory: lib('ggml_backend_dev_memory', 'void', [p, p, p]),
    ggml_backend_cpu_buffer_type: lib('ggml_backend_cpu_buffer_type', p, []),
    ggml_backend_reg_by_name: lib('ggml_backend_reg_by_name', p, ['str']),
    ggml_backend_reg_get_proc_address: lib('ggml_backend_reg_get_proc_address', p, [p, 'str']),

    ggml_backend_tensor_get: lib('ggml_backend_tensor_get', 'void', [p, p, 'size_t', 'size_t']),

    llama_model_load_from_file: lib('llama_model_load_from_file', p, ['str', structs.modelParams]),
    llama_model_free: lib('llama_model_free', 'void', [p]),
    llama_model_get_vocab: lib('llama_model_get_vocab', p, [p]),
    llama_model_n_ctx_train: lib('llama_model_n_ctx_train', 'int32', [p]),
    llama_model_n_layer: lib('llama_model_n_layer', 'int32', [p]),
    llama_model_quantize: lib('llama_model_quantize', 'uint32', [
      'str',
      'str',
      koffi.pointer(structs.quantizeParams),
    ]),

    llama_adapter_lora_init: lib('llama_adapter_lora_init', p, [p, 'str']),
    llama_adapter_lora_free: lib('llama_adapter_lora_free', 'void', [p]),
    llama_adapter_get_alora_n_invocation_tokens: lib(
      'llama_adapter_get_alora_n_invocation_tokens',
      'uint64',
      [p],
    ),
    llama_set_adapters_lora: lib('llama_set_adapters_lora', 'int32', [p, p, 'size_t', p]),

    llama_vocab_n_tokens: lib('llama_vocab_n_tokens', 'int32', [p]),
    llama_vocab_get_text: lib('llama_vocab_get_text', 'str', [p, 'int32']),
    llama_vocab_get_score: lib('llama_vocab_get_score', 'float', [p, 'int32']),
    llama_vocab_get_attr: lib('llama_vocab_get_attr', 'int32', [p, 'int32']),
    llama_vocab_bos: lib('llama_vocab_bos', 'int32', [p]),
    llama_vocab_eos: lib('llama_vocab_eos', 'int32', [p]),
    llama_tokenize: lib('llama_tokenize', 'int32', [p, p, 'int32', p, 'int32', 'bool', 'bool']),

    llama_init_from_model: lib('llama_init_from_model', p, [p, structs.contextParams]),
    llama_free: lib('llama_free', 'void', [p]),
    llama_attach_threadpool: lib('llama_attach_threadpool', 'void', [p, p, p]),
    llama_n_ctx: lib('llama_n_ctx', 'uint32', [p]),
    llama_context_get_sched: optional('_ZNK13llama_context9get_schedEv', p, [p]),
    llama_context_get_cparams: optional('_ZNK13llama_context11get_cparamsEv', p, [p]),
    ggml_backend_sched_set_eval_callback: lib('ggml_backend_sched_set_eval_callback', 'void', [p, p, p]),
    llama_get_memory: lib('llama_get_memory', p, [p]),
    llama_memory_seq_rm: lib('llama_memory_seq_rm', 'bool', [p, 'int32', 'int32', 'int32']),
    llama_memory_seq_cp: lib('llama_memory_seq_cp', 'void', [p, 'int32', 'int32', 'int32', 'int32']),
    llama_state_seq_get_size: lib('llama_state_seq_get_size', 'size_t', [p, 'int32']),
    llama_state_seq_save_file: lib('llama_state_seq_save_file', 'size_t', [p, 'str', 'int32', p, 'size_t']),
    llama_state_seq_load_file: lib('llama_state_seq_load_file', 'size_t', [
      p,
      'str',
      'int32',
      p,
      'size_t',
      p,
    ]),
    llama_decode: lib('llama_decode', 'int32', [p, structs.batch]),
    llama_get_logits: lib('llama_get_logits', p, [p]),
  };
}
