/** The devices that ggml's backends found, with their memory. */
import { loadLibrary } from './library.ts';

export interface Device {
  /** ggml's name, such as `CUDA0`. */
  name: string;
  description: string;
  kind: 'cpu' | 'gpu' | 'igpu' | 'accelerator' | 'meta';
  /** Bytes. */
  total: number;
  free: number;
}

/** `enum ggml_backend_dev_type`. */
const kinds = ['cpu', 'gpu', 'igpu', 'accelerator', 'meta'] as const;

export function listDevices(): Device[] {
  const lib = loadLibrary();
  return Array.from({ length: lib.ggml_backend_dev_count() }, (_, i) => {
    const device = lib.ggml_backend_dev_get(i);
    const [free, total] = [new BigUint64Array(1), new BigUint64Array(1)];
    lib.ggml_backend_dev_memory(device, free, total);
    return {
      name: lib.ggml_backend_dev_name(device),
      description: lib.ggml_backend_dev_description(device).trim(),
      kind: kinds[lib.ggml_backend_dev_type(device)] ?? 'accelerator',
      total: Number(total[0]),
      free: Number(free[0]),
    };
  });
}

/** Those that llama.cpp puts layers on: GPUs, or integrated ones where there are no others. */
export function gpusOf(devices: readonly Device[]): Device[] {
  const of = (kind: Device['kind']) => devices.filter((device) => device.kind === kind);
  const discrete = of('gpu');
  return discrete.length > 0 ? discrete : of('igpu');
}
