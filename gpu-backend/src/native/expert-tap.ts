/**
 * Routed experts on demand: the callback of routed-experts.ts, put in for single steps and taken out again. While it
 * is out, the graph runs in one piece and nothing is paid.
 *
 * llama.h takes a callback when a context is made and offers no way to change it. Two places hold it: the context's
 * parameters, from which each new graph takes it, and the scheduler, which the graph in use (llama.cpp reuses graphs)
 * asks. The latter has a function in ggml's API. The former is found by its value: the context is made with callback
 * and a user-data address of ours, and the two stand side by side. Both accessors are C++ functions that the library
 * exports on Linux and macOS; where one lacks, or the two values are not found, there is no tap.
 */
import koffi from 'koffi';
import { loadLibrary, type Pointer } from './library.ts';
import { type EvalCallback, type RoutedExpertsListener, watchRoutedExperts } from './routed-experts.ts';

export interface ExpertTap {
  /** From the next step on the listener hears of every layer. Not while a step runs. */
  open(): void;
  close(): void;
}

/** More than `llama_cparams` takes, less than the context that it is a part of. */
const searchedBytes = 512;

export class TapCallback {
  readonly #callback: EvalCallback;
  /** Its address is like no other in the process. */
  readonly #mark = new Uint8Array(new ArrayBuffer(64));

  constructor(listener: RoutedExpertsListener) {
    this.#callback = watchRoutedExperts(listener);
  }

  /** Fields for llama_context_params. */
  get params() {
    return { cb_eval: this.#callback.pointer, cb_eval_user_data: koffi.address(this.#mark) };
  }

  /** @returns the tap of a context that was made with `params`, closed; undefined where there can be none */
  attach(context: Pointer): ExpertTap | undefined {
    const lib = loadLibrary();
    const { llama_context_get_sched: schedulerOf } = lib;
    if (!schedulerOf || !lib.llama_context_get_cparams) return undefined;
    const [callback, mark] = [this.#callback.pointer, koffi.address(this.#mark)];
    const fields = new BigUint64Array(koffi.view(lib.llama_context_get_cparams(context), searchedBytes));
    const at = fields.findIndex((value, i) => value === callback && fields[i + 1] === mark);
    if (at < 0) return undefined;
    const set = (pointer: Pointer | null) => {
      fields[at] = pointer ?? 0n;
      // Asked for each time: an adapter that is put on or taken off makes llama.cpp free its scheduler and make another.
      const scheduler: Pointer = schedulerOf(context);
      lib.ggml_backend_sched_set_eval_callback(scheduler, pointer, pointer === null ? null : mark);
    };
    set(null);
    return { open: () => set(callback), close: () => set(null) };
  }

  free(): void {
    this.#callback.free();
  }
}
