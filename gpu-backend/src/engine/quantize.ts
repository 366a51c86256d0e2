import { ggmlTypeId } from '../gguf/ggml-types.ts';
import { quantizeFile } from '../native/quantize.ts';

/** `enum llama_ftype` by the names that llama.cpp's own tool takes; F32 to Q1_0, its mixes and aliases included. */
export const fileTypes = {
  F32: 0,
  F16: 1,
  BF16: 32,
  Q8_0: 7,
  Q6_K: 18,
  Q5_K: 17,
  Q5_K_M: 17,
  Q5_K_S: 16,
  Q5_0: 8,
  Q5_1: 9,
  Q4_K: 15,
  Q4_K_M: 15,
  Q4_K_S: 14,
  Q4_0: 2,
  Q4_1: 3,
  Q3_K: 12,
  Q3_K_L: 13,
  Q3_K_M: 12,
  Q3_K_S: 11,
  Q2_K: 10,
  Q2_K_S: 21,
  Q2_0: 41,
  Q1_0: 40,
  IQ4_NL: 25,
  IQ4_XS: 30,
  IQ3_M: 27,
  IQ3_S: 26,
  IQ3_XS: 22,
  IQ3_XXS: 23,
  IQ2_M: 29,
  IQ2_S: 28,
  IQ2_XS: 20,
  IQ2_XXS: 19,
  IQ1_M: 31,
  IQ1_S: 24,
  TQ2_0: 37,
  TQ1_0: 36,
  MXFP4_MOE: 38,
} as const;

export type FileType = keyof typeof fileTypes;

export class QuantizeError extends Error {
  override name = 'QuantizeError';
}

export interface TensorTypeOverride {
  /** A regular expression of C++'s `std::regex`, searched for in tensor names; the first that matches counts. */
  pattern: string;
  /** A ggml type by name, such as Q6_K. */
  type: string;
}

export interface QuantizeOptions {
  type: FileType;
  /** Take a file whose tensors are quantised already. @default false, as each pass loses some precision */
  allowRequantize?: boolean;
  /** @default as many as there are cores */
  threads?: number;
  overrides?: readonly TensorTypeOverride[];
  /** Called when a tensor's turn comes: its number from 1, and how many there are. */
  onTensor?(number: number, total: number): void;
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
    overrides: (options.overrides ?? []).map(({ pattern, type }) => ({ pattern, type: ggmlTypeId(type) })),
    onLog: (line) => {
      const [, number, total] = /^\[\s*(\d+)\/\s*(\d+)\]/.exec(line) ?? [];
      if (number) options.onTensor?.(Number(number), Number(total));
    },
  });
  // The one about importance matrices stands in a box of equals signs.
  if (failure !== undefined)
    throw new QuantizeError(`${input}: ${failure.replaceAll(/={4,};?\s*/g, '').trim()}`);
}
