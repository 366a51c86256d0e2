/** One llama_context: the KV cache of all sequences, the batch that is filled for a step, the logits it leaves. */
import { promisify } from 'node:util';
import koffi from 'koffi';
import { type BufferReport, reportBuffers } from './buffers.ts';
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
  onRoutedExperts?: RoutedExpertsListener;
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
  /** llama.cpp's error lines since the last step began. */
  lastErrors(): string;
  readonly report: BufferReport;
  free(): void;
}

/** `enum ggml_type` and `enum llama_flash_attn_type`. */
const [float32, flashAttentionOff] = [0, 0];

/** Sequences that one context can tell apart (`LLAMA_MAX_SEQ`). */
export const maxSequences = 256;
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
  }).finally(stop);
  if (pointer === null) {
    watcher?.free();
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
    lastErrors,
    report,
    free() {
      lib.llama_free(pointer);
      pool?.free();
      if (batchPool !== pool) batchPool?.free();
      watcher?.free();
      // Named here so that the collector cannot take what only native code still points to.
      ones.fill(0);
      sequencePointers.fill(0n);
    },
  };
}
