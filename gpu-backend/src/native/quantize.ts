import { promisify } from 'node:util';
import { loadLibrary } from './library.ts';
import { clearLog, lastErrors } from './log.ts';

export interface NativeQuantizeOptions {
  /** `enum llama_ftype`. */
  fileType: number;
  /** Takes tensors that are quantised already. */
  allowRequantize: boolean;
  threads: number;
}

/** @returns why it failed, undefined if it did not */
export async function quantizeFile(
  input: string,
  output: string,
  { fileType, allowRequantize, threads }: NativeQuantizeOptions,
): Promise<string | undefined> {
  const lib = loadLibrary();
  clearLog();
  const params = {
    ...lib.llama_model_quantize_default_params(),
    ftype: fileType,
    allow_requantize: allowRequantize,
    nthread: threads,
  };
  const code = await promisify(lib.llama_model_quantize.async)(input, output, params);
  return code === 0 ? undefined : lastErrors() || `llama.cpp's code ${code}`;
}
