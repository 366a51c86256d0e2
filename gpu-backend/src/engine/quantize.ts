import { quantizeFile } from '../native/quantize.ts';

/** `enum llama_ftype` by the names that llama.cpp's own tool takes. */
const fileTypes = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q5_0: 8,
  Q5_1: 9,
  Q2_K: 10,
  Q3_K_S: 11,
  Q3_K_M: 12,
  Q3_K_L: 13,
  Q4_K_S: 14,
  Q4_K_M: 15,
  Q5_K_S: 16,
  Q5_K_M: 17,
  Q6_K: 18,
  BF16: 32,
} as const;

type FileType = keyof typeof fileTypes;

export class QuantizeError extends Error {
  override name = 'QuantizeError';
}

export interface QuantizeOptions {
  type: FileType;
  /** Take a file whose tensors are quantised already. @default false, as each pass loses some precision */
  allowRequantize?: boolean;
  /** @default as many as there are cores */
  threads?: number;
}

/**
 * Writes a GGUF file anew with other tensor types, off the event loop.
 * @throws QuantizeError naming the input file
 */
export async function quantize(input: string, output: string, options: QuantizeOptions): Promise<void> {
  const failure = await quantizeFile(input, output, {
    fileType: fileTypes[options.type],
    allowRequantize: options.allowRequantize ?? false,
    threads: options.threads ?? 0,
  });
  if (failure !== undefined) throw new QuantizeError(`${input}: ${failure}`);
}
