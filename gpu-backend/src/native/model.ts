/** A loaded model and its vocabulary. */
import { promisify } from 'node:util';
import { type BufferReport, reportBuffers } from './buffers.ts';
import { loadLibrary, type Pointer } from './library.ts';
import { clearLog, lastErrors } from './log.ts';
import { type ModelPlacement, modelParamsOf } from './placement.ts';

/** `enum llama_token_attr`, the bits that matter here. */
export const tokenAttribute = {
  unknown: 1,
  unused: 2,
  normal: 4,
  control: 8,
  userDefined: 16,
  byte: 32,
} as const;

export interface NativeModel {
  readonly pointer: Pointer;
  readonly vocab: Pointer;
  readonly trainedContext: number;
  readonly layers: number;
  readonly report: BufferReport;
  free(): void;
}

export interface Vocabulary {
  /** As in the file: `▁` stands for a space, byte tokens read `<0x0A>`. */
  readonly texts: readonly string[];
  /** `tokenAttribute` bits of each token. */
  readonly attributes: Int32Array;
  readonly scores: Float32Array;
  readonly bos: number;
  readonly eos: number;
}

/**
 * @returns the model, or llama.cpp's reason why it does not load, on one line
 */
export async function openModel(
  path: string,
  placement: ModelPlacement,
): Promise<NativeModel | { failure: string }> {
  const lib = loadLibrary();
  clearLog();
  const { fields, keep } = modelParamsOf(placement);
  const params = { ...lib.llama_model_default_params(), ...fields };
  const { report, stop } = reportBuffers();
  // Asynchronous not only for its length: the loader's threads log, and a log line needs the event loop.
  const pointer: Pointer | null = await promisify(lib.llama_model_load_from_file.async)(path, params).finally(
    () => {
      stop();
      // Named here so that the collector cannot take what only native code points to.
      keep.length = 0;
    },
  );
  if (pointer === null) return { failure: lastErrors() || 'llama.cpp gave no reason' };
  return {
    pointer,
    vocab: lib.llama_model_get_vocab(pointer),
    trainedContext: lib.llama_model_n_ctx_train(pointer),
    layers: lib.llama_model_n_layer(pointer),
    report,
    free: () => lib.llama_model_free(pointer),
  };
}

export function readVocabulary({ vocab }: NativeModel): Vocabulary {
  const lib = loadLibrary();
  const size: number = lib.llama_vocab_n_tokens(vocab);
  const texts: string[] = [];
  const attributes = new Int32Array(size);
  const scores = new Float32Array(size);
  for (let id = 0; id < size; id++) {
    texts.push(lib.llama_vocab_get_text(vocab, id));
    attributes[id] = lib.llama_vocab_get_attr(vocab, id);
    scores[id] = lib.llama_vocab_get_score(vocab, id);
  }
  return {
    texts,
    attributes,
    scores,
    bos: lib.llama_vocab_bos(vocab),
    eos: lib.llama_vocab_eos(vocab),
  };
}

/** llama.cpp's own tokenizer on UTF-8 text: no BOS, control tokens not parsed (user-defined ones still are). */
export function tokenizeText({ vocab }: NativeModel, utf8: Uint8Array): Int32Array {
  const lib = loadLibrary();
  // One token a byte and the prefix at most.
  const ids = new Int32Array(utf8.length + 1);
  const count = lib.llama_tokenize(vocab, utf8, utf8.length, ids, ids.length, false, false);
  return ids.subarray(0, Math.max(count, 0));
}
