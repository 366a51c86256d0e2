/** Placement as llama.cpp's structs say it. */
import koffi from 'koffi';
import { loadLibrary } from './library.ts';

/** Values by their number in llama.h and ggml.h. */
const splitModes = { none: 0, layer: 1, row: 2, tensor: 3 } as const;
const kvTypes = { f16: 1, q4_0: 2, q8_0: 8 } as const;
const flashAttentionTypes = { auto: -1, off: 0, on: 1 } as const;
const loadModes = { auto: -1, none: 0, mlock: 2, mmapMlock: 3 } as const;

type SplitMode = keyof typeof splitModes;
export type KvType = keyof typeof kvTypes;
type FlashAttention = keyof typeof flashAttentionTypes;

export interface ModelPlacement {
  /** Layers whose weights go to the GPU, the output counted as the last one; -1 is all. */
  gpuLayers: number;
  /** The experts of the first N layers stay in RAM. @default 0 */
  cpuExpertLayers?: number;
  /** The GPU of split mode `none`. @default 0 */
  mainGpu?: number;
  /** Shares of the GPUs in order. @default in proportion to their free memory */
  tensorSplit?: readonly number[];
  /** @default 'layer' */
  splitMode?: SplitMode;
  /** false reads the whole file into memory. @default true where the devices can use it */
  mmap?: boolean;
  /** Keeps the weights from being swapped out. @default false */
  mlock?: boolean;
}

export interface ContextPlacement {
  /** @default f16 for both */
  kvTypes?: { keys: KvType; values: KvType };
  /** @default 'auto' */
  flashAttention?: FlashAttention;
}

/** Devices that llama.cpp's `tensor_split` has room for are fewer (`llama_max_devices`). */
const maxDevices = 128;

/** @returns fields for llama_model_params; `keep` must stay reachable until the model is loaded */
export function modelParamsOf(placement: ModelPlacement): {
  fields: Record<string, unknown>;
  keep: unknown[];
} {
  const { gpuLayers, cpuExpertLayers = 0, mainGpu, tensorSplit, splitMode, mmap, mlock } = placement;
  const keep: unknown[] = [];
  const address = (values: Uint8Array | BigUint64Array | Float32Array) => {
    keep.push(values);
    return koffi.address(values);
  };
  const loadMode = mmap === false ? (mlock ? 'mlock' : 'none') : mlock ? 'mmapMlock' : 'auto';
  const fields: Record<string, unknown> = { n_gpu_layers: gpuLayers, load_mode: loadModes[loadMode] };
  if (cpuExpertLayers > 0) {
    // The CPU's plain buffer type stands for "wherever the CPU likes it best", its repacked one included.
    const list = new BigUint64Array(new ArrayBuffer(32));
    list[0] = address(cString(expertPattern(cpuExpertLayers)));
    list[1] = loadLibrary().ggml_backend_cpu_buffer_type();
    fields.tensor_buft_overrides = address(list);
  }
  if (mainGpu !== undefined) fields.main_gpu = mainGpu;
  if (splitMode !== undefined) fields.split_mode = splitModes[splitMode];
  if (tensorSplit !== undefined) {
    const shares = new Float32Array(new ArrayBuffer(4 * maxDevices));
    shares.set(tensorSplit);
    fields.tensor_split = address(shares);
  }
  return { fields, keep };
}

/** @returns fields for llama_context_params */
export function contextParamsOf({
  kvTypes: types,
  flashAttention,
}: ContextPlacement): Record<string, number> {
  return {
    ...(types && { type_k: kvTypes[types.keys], type_v: kvTypes[types.values] }),
    ...(flashAttention && { flash_attn_type: flashAttentionTypes[flashAttention] }),
  };
}

/** A regular expression over tensor names: the experts of layers 0 to `layers` - 1. */
export function expertPattern(layers: number): string {
  // A decade as one class: std::regex recurses over alternatives, and a thousand of them end the process.
  const decades = Array.from({ length: Math.ceil(layers / 10) }, (_, i) => {
    const last = Math.min(9, layers - 1 - 10 * i);
    return `${i || ''}[0-${last}]`;
  });
  const numbers = decades.join('|');
  return `^blk\\.(${numbers})\\.ffn_(gate|up|down|gate_up)_exps\\.`;
}

/** In an ArrayBuffer of its own, which V8 does not move. */
function cString(text: string): Uint8Array {
  const bytes = Buffer.from(`${text}\0`);
  const copy = new Uint8Array(new ArrayBuffer(Math.max(bytes.length, 128)));
  copy.set(bytes);
  return copy;
}
