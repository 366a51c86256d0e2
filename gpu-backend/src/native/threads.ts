/**
 * A CPU thread pool for a context. Without one, the prebuilt libraries (no OpenMP) start their threads anew for
 * every graph: 0.35 ms a step more on a small model. Its functions live in the CPU variant that ggml chose.
 */
import koffi from 'koffi';
import { loadLibrary, type Pointer } from './library.ts';
import { threadpoolParams } from './structs.ts';

const newType = koffi.proto('void *', ['void *']);
const freeType = koffi.proto('void', ['void *']);

export interface ThreadPool {
  readonly pointer: Pointer;
  free(): void;
}

/** undefined where the CPU backend has no pools. */
export function createThreadPool(threads: number): ThreadPool | undefined {
  const lib = loadLibrary();
  const cpu = lib.ggml_backend_reg_by_name('CPU');
  const create = cpu && lib.ggml_backend_reg_get_proc_address(cpu, 'ggml_threadpool_new');
  const free = cpu && lib.ggml_backend_reg_get_proc_address(cpu, 'ggml_threadpool_free');
  if (!create || !free) return undefined;
  const params = new ArrayBuffer(koffi.sizeof(threadpoolParams));
  lib.ggml_threadpool_params_init(params, threads);
  const pointer: Pointer | null = koffi.call(create, newType, params);
  return pointer === null ? undefined : { pointer, free: () => koffi.call(free, freeType, pointer) };
}
