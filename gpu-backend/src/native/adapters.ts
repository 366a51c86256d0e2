/** LoRA adapters: loaded beside the model, and put on a context one at a time. */
import { promisify } from 'node:util';
import { loadLibrary, type Pointer } from './library.ts';
import { clearLog, lastErrors } from './log.ts';
import type { NativeModel } from './model.ts';

/** Lives as long as its model. */
export interface NativeAdapter {
  readonly pointer: Pointer;
  readonly scale: number;
}

/** @returns the adapter, or llama.cpp's reason why it does not suit the model, on one line */
export async function openAdapter(
  model: NativeModel,
  path: string,
  scale: number,
): Promise<NativeAdapter | { failure: string }> {
  const lib = loadLibrary();
  clearLog();
  const pointer: Pointer | null = await promisify(lib.llama_adapter_lora_init.async)(model.pointer, path);
  if (pointer === null) return { failure: lastErrors() || 'llama.cpp gave no reason' };
  // aLoRA is switched on by tokens in the prompt, which llama.cpp's server does, not its library.
  if (Number(lib.llama_adapter_get_alora_n_invocation_tokens(pointer)) > 0) {
    lib.llama_adapter_lora_free(pointer);
    return { failure: 'adapters with invocation tokens (aLoRA) are not supported' };
  }
  return { pointer, scale };
}

/** Takes effect with the next decode, which plans its graph anew; putting on what is on already costs nothing. */
export function putAdapter(context: Pointer, adapter: NativeAdapter | undefined): void {
  const pointers = new BigUint64Array(adapter ? [adapter.pointer] : []);
  const scales = new Float32Array(adapter ? [adapter.scale] : []);
  loadLibrary().llama_set_adapters_lora(context, pointers, pointers.length, scales);
}
