import { promisify } from 'node:util';
import koffi from 'koffi';
import { loadLibrary } from './library.ts';
import { clearLog, lastErrors, listenToLog } from './log.ts';

export interface NativeQuantizeOptions {
  /** `enum llama_ftype`. */
  fileType: number;
  /** Takes tensors that are quantised already. */
  allowRequantize: boolean;
  threads: number;
  /** `enum ggml_type` for tensors whose name the pattern is found in. */
  overrides?: readonly { pattern: string; type: number }[];
  onLog?(line: string): void;
}

/** @returns why it failed, undefined if it did not */
export async function quantizeFile(
  input: string,
  output: string,
  { fileType, allowRequantize, threads, overrides = [], onLog }: NativeQuantizeOptions,
): Promise<string | undefined> {
  const lib = loadLibrary();
  clearLog();
  const table = overrideTable(overrides);
  const params = {
    ...lib.llama_model_quantize_default_params(),
    ftype: fileType,
    allow_requantize: allowRequantize,
    nthread: threads,
    tt_overrides: overrides.length > 0 ? koffi.address(table.entries) : null,
  };
  const stopListening = listenToLog((line) => onLog?.(line));
  try {
    const code = await promisify(lib.llama_model_quantize.async)(input, output, params);
    return code === 0 ? undefined : lastErrors() || `llama.cpp's code ${code}`;
  } finally {
    stopListening();
    // Until here the call reads them: this keeps them reachable.
    table.patterns.length = 0;
  }
}

/** `struct llama_model_tensor_override[]`: a pointer and an int32 in 16 bytes, ended by a null pointer. */
function overrideTable(overrides: NonNullable<NativeQuantizeOptions['overrides']>) {
  // On buffers of their own: a small typed array may lie on V8's heap, where it moves.
  const entries = new BigUint64Array(new ArrayBuffer(16 * (overrides.length + 1)));
  const patterns = overrides.map(({ pattern, type }, position) => {
    const bytes = Buffer.from(`${pattern}\0`);
    const copy = new Uint8Array(new ArrayBuffer(bytes.length));
    copy.set(bytes);
    entries[2 * position] = BigInt(koffi.address(copy));
    entries[2 * position + 1] = BigInt(type);
    return copy;
  });
  return { entries, patterns };
}
