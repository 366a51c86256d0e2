/** One llama_context: the KV cache of all sequences, the batch that is filled for a step, the logits it leaves. */
import { promisify } from 'node:util';
import koffi from 'koffi';
import { type NativeAdapter, putAdapter } from './adapters.ts';
import { type BufferReport, reportBuffers } from './buffers.ts';
import { type ExpertTap, TapCallback } from './expert-tap.ts';
import { loadLibrary, type Pointer } from './library.ts';
import { clearLog, lastErrors } from './log.ts';
import type { NativeModel } from './model.ts';
import { type ContextPlacement, contextParamsOf } from './placement.ts';
import { type RoutedExpertsListener, watchRoutedExperts } from './routed-experts.ts';
import { createThreadPool } from './threads.ts';

export interface ContextOptions extends ContextPlacement {
  /** KV cells, shared by all sequences. */
  contextTokens: number;
  /** Tokens of one step at most. */
  batchTokens: number;
  /** Sequences in one step. Their ids may be any below `maxSequences`: the cache is unified. */
  sequences: number;
  /** Logit rows of one step at most, not below `sequences`. */
  outputs: number;
  threads: number;
  /** Threads of a step of more than one token. @default threads */
  threadsBatch?: number;
  /**
   * Keys and values in float32, attention in its plain form: what to compare with a reference in float32. The fused
   * attention that llama.cpp chooses otherwise rounds to float16 on the way, whatever the type of the cache.
   * @default false
   */
  precise?: boolean;
  /** Hears of every step. */
  onRoutedExperts?: RoutedExpertsListener;
  /** Hears of the steps for which `expertTap` is open. */
  onTappedExperts?: RoutedExpertsListener;
}

/** The arrays of a step, by position in the batch. Native memory: allocated once, alive as long as the context. */
interface Batch {
  readonly tokens: Int32Array;
  readonly positions: Int32Array;
  readonly sequences: Int32Array;
  /** 1 where logits are wanted. */
  readonly outputs: Int8Array;
}

export interface NativeContext {
  readonly batch: Batch;
  /** Runs the first `count` tokens of the batch off the event loop. 0 is success; others are llama_decode's codes. */
  decode(count: number): Promise<number>;
  /** The logit rows `[outputs, vocabulary]` of the last step in batch order, in place: valid until the next decode. */
  logits(): Float32Array;
  /** Takes a sequence out of its KV cells at positions `[from, to)`; those that no other one shares are free. */
  removeCells(id: number, from: number, to: number): void;
  /** Lets `target` have the KV cells of `source` at positions `[from, to)`: the same cells, nothing is copied. */
  shareCells(source: number, target: number, from: number, to: number): void;
  /** Bytes of a sequence's file, about. */
  stateBytes(id: number): number;
  /** Writes the KV cells of a sequence and the tokens that they were computed from. @returns bytes; 0 on failure */
  saveState(id: number, path: string, tokens: Int32Array): Promise<number>;
  /**
   * Gives a sequence without cells those of a file. Only for files that are known to be whole.
   * @returns their tokens, `capacity` at most; undefined, and no cells, if the file does not suit this context
   */
  loadState(id: number, path: string, capacity: number): Promise<Int32Array | undefined>;
  /** For all that is decoded from now on; undefined: the model alone. */
  useAdapter(adapter: NativeAdapter | undefined): void;
  /** llama.cpp's error lines since the last step began. */
  lastErrors(): string;
  readonly report: BufferReport;
  /** With `onTappedExperts`, where the library offers a way in. */
  readonly expertTap: ExpertTap | undefined;
  free(): void;
}

/** `enum ggml_type` and `enum llama_flash_attn_type`. */
const [float32, flashAttentionOff] = [0, 0];

/** Sequences that one context can tell apart (`LLAMA_MAX_SEQ`). */
export const maxSequences = 256;
/** The id that sequences are saved under; not to be used otherwise. */
export const scratchSequence = 0;
/** Tokens computed at once, llama.cpp's default; a larger batch runs in several pieces, still as one call. */
const microBatch = 512;

/** @returns the context, or llama.cpp's reason why there is none (usually memory) */
export async function createContext(
  model: NativeModel,
  vocabularySize: number,
  options: ContextOptions,
): Promise<NativeContext | { failure: string }> {
  const lib = loadLibrary();
  const { contextTokens, batchTokens, sequences, outputs, threads, precise = false } = options;
  const threadsBatch = options.threadsBatch ?? threads;
  const watcher = options.onRoutedExperts && watchRoutedExperts(options.onRoutedExperts);
  const tap = options.onTappedExperts && new TapCallback(options.onTappedExperts);
  clearLog();
  const { report, stop } = reportBuffers();
  const pointer: Pointer | null = await promisify(lib.llama_init_from_model.async)(model.pointer, {
    ...lib.llama_context_default_params(),
    n_ctx: contextTokens,
    n_batch: batchTokens,
    n_ubatch: Math.min(batchTokens, microBatch),
    n_seq_max: sequences,
    n_outputs_max: outputs,
    n_threads: threads,
    n_threads_batch: threadsBatch,
    kv_unified: true,
    ...contextParamsOf(options),
    ...(precise && { type_k: float32, type_v: float32, flash_attn_type: flashAttentionOff }),
    cb_eval: watcher?.pointer ?? null,
    ...tap?.params,
  }).finally(stop);
  if (pointer === null) {
    watcher?.free();
    tap?.free();
    return { failure: lastErrors() || 'llama.cpp gave no reason' };
  }
  const pool = createThreadPool(threads);
  const batchPool = threadsBatch === threads ? pool : createThreadPool(threadsBatch);
  if (pool && batchPool) lib.llama_attach_threadpool(pointer, pool.pointer, batchPool.pointer);
  const memory: Pointer = lib.llama_get_memory(pointer);

  // Explicit ArrayBuffers: V8 keeps small typed arrays inside objects that it moves.
  const batch = {
    tokens: new Int32Array(new ArrayBuffer(4 * batchTokens)),
    positions: new Int32Array(new ArrayBuffer(4 * batchTokens)),
    sequences: new Int32Array(new ArrayBuffer(4 * batchTokens)),
    outputs: new Int8Array(new ArrayBuffer(batchTokens)),
  };
  const ones = new Int32Array(new ArrayBuffer(4 * batchTokens)).fill(1);
  const sequencesAt = koffi.address(batch.sequences);
  const sequencePointers = new BigUint64Array(new ArrayBuffer(8 * batchTokens));
  for (let i = 0; i < batchTokens; i++) sequencePointers[i] = sequencesAt + BigInt(4 * i);
  const native = {
    n_tokens: 0,
    token: koffi.address(batch.tokens),
    embd: null,
    pos: koffi.address(batch.positions),
    n_seq_id: koffi.address(ones),
    seq_id: koffi.address(sequencePointers),
    logits: koffi.address(batch.outputs),
  };

  let logitsAt: Pointer | undefined;
  let logits = new Float32Array(0);
  const decode = promisify(lib.llama_decode.async) as (context: Pointer, batch: unknown) => Promise<number>;
  return {
    batch,
    decode(count) {
      clearLog();
      native.n_tokens = count;
      return decode(pointer, native);
    },
    logits() {
      const at: Pointer = lib.llama_get_logits(pointer);
      if (at !== logitsAt) {
        logitsAt = at;
        logits = new Float32Array(koffi.view(at, 4 * outputs * vocabularySize));
      }
      return logits;
    },
    removeCells: (id, from, to) => lib.llama_memory_seq_rm(memory, id, from, to),
    shareCells: (source, target, from, to) => lib.llama_memory_seq_cp(memory, source, target, from, to),
    stateBytes: (id) => Number(lib.llama_state_seq_get_size(pointer, id)),
    async saveState(id, path, tokens) {
      // llama.cpp writes sequences below n_seq_max only: this one is kept free for it.
      lib.llama_memory_seq_cp(memory, id, scratchSequence, -1, -1);
      const save = promisify(lib.llama_state_seq_save_file.async);
      const bytes: number | bigint = await save(pointer, path, scratchSequence, tokens, tokens.length);
      lib.llama_memory_seq_rm(memory, scratchSequence, -1, -1);
      return Number(bytes);
    },
    async loadState(id, path, capacity) {
      clearLog();
      const tokens = new Int32Array(new ArrayBuffer(4 * capacity));
      const count = new BigUint64Array(new ArrayBuffer(8));
      const load = promisify(lib.llama_state_seq_load_file.async);
      const bytes: number | bigint = await load(pointer, path, id, tokens, capacity, count);
      if (Number(bytes) > 0) return tokens.subarray(0, Number(count[0]));
      lib.llama_memory_seq_rm(memory, id, -1, -1);
      return undefined;
    },
    useAdapter: (adapter) => putAdapter(pointer, adapter),
    lastErrors,
    report,
    expertTap: tap?.attach(pointer),
    free() {
      lib.llama_free(pointer);
      pool?.free();
      if (batchPool !== pool) batchPool?.free();
      watcher?.free();
      tap?.free();
      // Named here so that the collector cannot take what only native code still points to.
      ones.fill(0);
      sequencePointers.fill(0n);
    },
  };
}
