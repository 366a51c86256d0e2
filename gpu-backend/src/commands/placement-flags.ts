/** The command line's words for placement, read by `serve` and written by `plan`. */
import type { PlacementOptions } from '../engine/placement.ts';
import type { KvType } from '../native/placement.ts';
import { UsageError, wholeNumber } from './command.ts';

export const placementFlags = {
  'gpu-layers': { type: 'string' },
  'cpu-experts': { type: 'string' },
  'main-gpu': { type: 'string' },
  'tensor-split': { type: 'string' },
  'split-mode': { type: 'string' },
  'kv-type': { type: 'string' },
  'flash-attention': { type: 'string' },
  'no-mmap': { type: 'boolean' },
  mlock: { type: 'boolean' },
} as const;

export const placementHelp = `\
  --gpu-layers N|all     the last N layers on the GPUs, the output counted as the last
                         one; auto (default): this and --cpu-experts as \`plan\` would
  --cpu-experts N|all    the experts of the first N layers in RAM
  --main-gpu N           the GPU of --split-mode none (default 0)
  --tensor-split N,N,…   shares of the GPUs (default: by their free memory)
  --split-mode MODE      layer, row, tensor, none: how several GPUs share (default layer)
  --kv-type TYPE         f16, q8_0, q4_0; or two, keys,values (default f16)
  --flash-attention MODE on, off, auto (default auto)
  --no-mmap              read the file into memory instead of mapping it
  --mlock                keep the weights from being swapped out
`;

type Values = { [K in keyof typeof placementFlags]?: string | boolean | undefined };

/** llama.cpp holds no more layers. */
const maxLayers = 1024;
const kvTypes = ['f16', 'q8_0', 'q4_0'] as const;
const splitModes = ['layer', 'row', 'tensor', 'none'] as const;
const onOffAuto = ['on', 'off', 'auto'] as const;

/** @throws UsageError in one line that names the flag */
export function parsePlacement(values: Values): PlacementOptions {
  const text = (flag: keyof Values) => values[flag] as string | undefined;
  const gpuLayers = text('gpu-layers') === 'auto' ? undefined : layers('gpu-layers', text('gpu-layers'));
  const cpuExpertLayers = layers('cpu-experts', text('cpu-experts'));
  const splitMode = oneOf('split-mode', text('split-mode'), splitModes);
  const flashAttention = oneOf('flash-attention', text('flash-attention'), onOffAuto);
  const mainGpu = text('main-gpu');
  const tensorSplit = text('tensor-split');
  const kvType = text('kv-type');
  return {
    ...(gpuLayers !== undefined && { gpuLayers }),
    ...(cpuExpertLayers !== undefined && { cpuExpertLayers }),
    ...(splitMode && { splitMode }),
    ...(flashAttention && { flashAttention }),
    ...(mainGpu !== undefined && { mainGpu: wholeNumber('main-gpu', mainGpu, 0, 127) }),
    ...(tensorSplit !== undefined && { tensorSplit: shares(tensorSplit) }),
    ...(kvType !== undefined && { kvTypes: keysAndValues(kvType) }),
    ...(values['no-mmap'] && { mmap: false }),
    ...(values.mlock && { mlock: true }),
  };
}

function layers(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return text === 'all' ? maxLayers : wholeNumber(flag, text, 0, maxLayers);
}

function oneOf<T extends string>(flag: string, text: string | undefined, words: readonly T[]): T | undefined {
  if (text === undefined || words.includes(text as T)) return text as T | undefined;
  throw new UsageError(`--${flag} takes ${words.join(', ')}, not "${text}"`);
}

function shares(text: string): number[] {
  const numbers = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (numbers.every((n) => Number.isFinite(n) && n >= 0) && numbers.some((n) => n > 0)) return numbers;
  throw new UsageError(`--tensor-split takes shares such as 3,1, not "${text}"`);
}

function keysAndValues(text: string): { keys: KvType; values: KvType } {
  const types = text.split(',');
  const known = types.every((type) => (kvTypes as readonly string[]).includes(type));
  if (!known || types.length > 2) {
    throw new UsageError(`--kv-type takes ${kvTypes.join(', ')} or two of them, keys,values, not "${text}"`);
  }
  const [keys, values = keys] = types as KvType[];
  return { keys: keys as KvType, values: values as KvType };
}
