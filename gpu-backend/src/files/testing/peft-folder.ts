/** PEFT folders of small random numbers, and safetensors files. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Matrix {
  shape: readonly number[];
  values: Float32Array;
}

export async function writeSafetensors(file: string, tensors: ReadonlyMap<string, Matrix>): Promise<void> {
  const entries: Record<string, object> = {};
  let end = 0;
  for (const [name, { shape, values }] of tensors) {
    entries[name] = { dtype: 'F32', shape, data_offsets: [end, end + values.byteLength] };
    end += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(entries));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const data = [...tensors.values()].map(({ values }) => new Uint8Array(values.buffer));
  await writeFile(file, Buffer.concat([length, json, ...data]));
}

/** A linear congruential generator (Numerical Recipes). */
export function randomMatrices(seed: number): (rows: number, columns: number, size?: number) => Matrix {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return (rows, columns, size = 1) => ({
    shape: [rows, columns],
    values: Float32Array.from({ length: rows * columns }, () => size * random()),
  });
}

export async function writePeftFolder(
  folder: string,
  config: object,
  tensors: ReadonlyMap<string, Matrix>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const whole = { peft_type: 'LORA', r: 2, lora_alpha: 4, peft_version: '0.21.2', ...config };
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(whole));
  const named = [...tensors].map(([name, matrix]) => [`base_model.model.${name}`, matrix] as const);
  await writeSafetensors(join(folder, 'adapter_model.safetensors'), new Map(named));
}
