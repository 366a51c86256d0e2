/** LoRA adapters of random numbers: they teach nothing, but change every answer, each in its own way. */
import { writeFile } from 'node:fs/promises';
import { encodeHeader, type Metadata, padding, type TensorInfo } from '../../files/gguf-header.ts';

export interface AdaptedTensor {
  name: string;
  columns: number;
  rows: number;
  /** Of a tensor that holds the matrices of all experts. */
  experts?: number;
}

/** Attention's outputs, and the experts' of one layer, of huozi-tiny. */
export const tinyTensors: readonly AdaptedTensor[] = [
  ...[0, 1, 2, 3].map((layer) => ({ name: `blk.${layer}.attn_output.weight`, columns: 256, rows: 256 })),
  { name: 'blk.1.ffn_down_exps.weight', columns: 256, rows: 256, experts: 8 },
];

const rank = 4;

/**
 * @param size of what it adds, beside weights that are about 1 / √columns
 */
export async function craftAdapter(
  path: string,
  seed: number,
  size: number,
  adapted: readonly AdaptedTensor[] = tinyTensors,
): Promise<void> {
  const tensors: TensorInfo[] = [];
  const data: Float32Array[] = [];
  let state = seed;
  // A linear congruential generator (Numerical Recipes), and the sum of uniforms for something like a normal.
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const add = (name: string, shape: number[], scale: number) => {
    tensors.push({ name, type: 'F32', shape });
    const count = shape.reduce((product, n) => product * n, 1);
    data.push(Float32Array.from({ length: count }, () => scale * 2 * (random() + random() + random())));
  };
  for (const { name, columns, rows, experts } of adapted) {
    const outer = experts ? [experts] : [];
    add(`${name}.lora_a`, [...outer, rank, columns], 1 / Math.sqrt(columns));
    add(`${name}.lora_b`, [...outer, rows, rank], size / Math.sqrt(rank));
  }
  const metadata: Metadata = new Map([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.type', { type: 'string', value: 'adapter' }],
    ['adapter.type', { type: 'string', value: 'lora' }],
    ['adapter.lora.alpha', { type: 'f32', value: rank }],
  ]);
  const parts: Uint8Array[] = [encodeHeader(metadata, tensors)];
  for (const floats of data)
    parts.push(new Uint8Array(floats.buffer), new Uint8Array(padding(floats.byteLength)));
  await writeFile(path, Buffer.concat(parts));
}
