/**
 * What an adapter adds to each weight of the checkpoint, computed as PEFT defines it, goes through the converter of whole
 * models; the converted adapter must add the same to the same tensors.
 */
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readHeader } from '../gguf/header.ts';
import { openCheckpoint } from './checkpoint.ts';
import { convert } from './convert.ts';
import { convertLora } from './convert-lora.ts';
import { type Matrix, randomMatrices, writePeftFolder, writeSafetensors } from './testing/peft-folder.ts';

const fixture = fileURLToPath(new URL('../../test/fixtures/mixtral-hf', import.meta.url));
const { hidden, ffn, experts, vocabulary } = { hidden: 32, ffn: 64, experts: 4, vocabulary: 325 };
const alpha = 4;

let work: string;
let base: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'huozi-convert-lora-'));
  base = join(work, 'base.gguf');
  await convert({ folder: fixture, out: base, type: 'F16' });
});
afterEach(() => rm(work, { recursive: true }));

/** Row-major [rows, rank] times [rank, columns]. */
function product(b: Matrix, a: Matrix, factor: number): Float32Array {
  const [rows, rank] = b.shape as [number, number];
  const columns = a.shape[1]!;
  return Float32Array.from({ length: rows * columns }, (_, at) => {
    let sum = 0;
    for (let i = 0; i < rank; i++) {
      sum += b.values[Math.floor(at / columns) * rank + i]! * a.values[i * columns + (at % columns)]!;
    }
    return factor * sum;
  });
}

/** By name, all of a GGUF file's tensors, which are F32. */
async function readTensors(file: string): Promise<Map<string, Matrix>> {
  const { tensors } = await readHeader(file);
  const padded = tensors.map(({ bytes }) => Math.ceil(bytes / 32) * 32);
  let at = (await stat(file)).size - padded.reduce((sum, bytes) => sum + bytes, 0);
  const content = await readFile(file);
  return new Map(
    tensors.map(({ name, shape, bytes }, i) => {
      const values = new Float32Array(Uint8Array.from(content.subarray(at, at + bytes)).buffer);
      at += padded[i]!;
      return [name, { shape: shape.toReversed(), values }];
    }),
  );
}

/** @returns by the model's tensor what llama.cpp would add to it */
async function addedBy(adapter: string): Promise<Map<string, Float32Array>> {
  const tensors = await readTensors(adapter);
  const added = new Map<string, Float32Array>();
  for (const [name, a] of tensors) {
    if (!name.endsWith('.lora_a')) continue;
    const target = name.replace('.lora_a', '');
    const b = tensors.get(`${target}.lora_b`)!;
    const [rows, rank] = b.shape.slice(-2) as [number, number];
    if (target === 'token_embd.weight') {
      // [tokens, rank] times the other's transposed.
      const turned = { shape: [rank, rows], values: new Float32Array(rank * rows) };
      for (let r = 0; r < rows; r++)
        for (let i = 0; i < rank; i++) turned.values[i * rows + r] = b.values[r * rank + i]!;
      added.set(target, product(a, turned, alpha / rank));
      continue;
    }
    const stack = a.shape.length === 3 ? a.shape[0]! : 1;
    const slices = Array.from({ length: stack }, (_, e) => {
      const part = ({ shape, values }: Matrix) => {
        const size = shape.at(-1)! * shape.at(-2)!;
        return { shape: shape.slice(-2), values: values.slice(e * size, (e + 1) * size) };
      };
      return product(part(b), part(a), alpha / rank);
    });
    added.set(target, Float32Array.from(slices.flatMap((slice) => [...slice])));
  }
  return added;
}

/** The same, of what is added to the checkpoint's tensors. */
async function convertedDeltas(
  deltas: ReadonlyMap<string, Float32Array>,
): Promise<Map<string, Float32Array>> {
  const folder = join(work, 'deltas');
  await cp(fixture, folder, { recursive: true, filter: (path) => !path.includes('.safetensors') });
  const { tensors } = await openCheckpoint(fixture);
  const all = [...tensors.values()].map(({ name, shape }) => {
    const size = shape.reduce((count, n) => count * n, 1);
    const values = deltas.get(name) ?? new Float32Array(size);
    expect(values).toHaveLength(size);
    return [name, { shape, values }] as const;
  });
  await writeSafetensors(join(folder, 'model.safetensors'), new Map(all));
  await convert({ folder, out: join(work, 'deltas.gguf'), type: 'F32' });
  const converted = await readTensors(join(work, 'deltas.gguf'));
  return new Map([...converted].map(([name, { values }]) => [name, values]));
}

async function expectSame(folder: string, deltas: ReadonlyMap<string, Float32Array>): Promise<void> {
  const out = join(work, 'adapter.gguf');
  const adapted = await convertLora({ folder, base, out });
  const [added, expected] = [await addedBy(out), await convertedDeltas(deltas)];
  expect(added.size).toBe(adapted);
  for (const [name, values] of expected) {
    const own = added.get(name);
    if (!own)
      expect(
        values.some((value) => value !== 0),
        name,
      ).toBe(false);
    else
      expect(
        own.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i]!)), 0),
        name,
      ).toBeLessThan(1e-5);
  }
}

describe('convertLora adds what PEFT adds', () => {
  it('to attention, routers, embedding, output and single experts', async () => {
    const random = randomMatrices(1);
    const modules: [name: string, columns: number, rows: number, rank: number, alpha: number][] = [
      ['model.layers.0.self_attn.q_proj', hidden, hidden, 2, alpha],
      ['model.layers.1.self_attn.k_proj', hidden, hidden / 2, 2, alpha],
      ['model.layers.1.self_attn.v_proj', hidden, hidden / 2, 3, alpha],
      ['model.layers.0.self_attn.o_proj', hidden, hidden, 2, 16],
      ['model.layers.0.block_sparse_moe.gate', hidden, experts, 2, alpha],
      ['model.layers.0.block_sparse_moe.experts.0.w1', hidden, ffn, 2, alpha],
      // Of different ranks, and one expert without.
      ['model.layers.0.block_sparse_moe.experts.1.w2', ffn, hidden, 2, alpha],
      ['model.layers.0.block_sparse_moe.experts.2.w2', ffn, hidden, 5, alpha],
      ['model.layers.0.block_sparse_moe.experts.3.w2', ffn, hidden, 1, alpha],
      ['lm_head', hidden, vocabulary, 2, alpha],
    ];
    const tensors = new Map<string, Matrix>();
    const deltas = new Map<string, Float32Array>();
    for (const [name, columns, rows, rank, own] of modules) {
      const [a, b] = [random(rank, columns), random(rows, rank)];
      tensors.set(`${name}.lora_A.weight`, a).set(`${name}.lora_B.weight`, b);
      deltas.set(`${name}.weight`, product(b, a, own / Math.sqrt(rank)));
    }
    const [a, b] = [random(2, vocabulary), random(hidden, 2)];
    tensors.set('model.embed_tokens.lora_embedding_A', a).set('model.embed_tokens.lora_embedding_B', b);
    tensors.set('model.embed_tokens.base_layer.weight', random(vocabulary, hidden));
    const turned = product(b, a, alpha / Math.sqrt(2));
    deltas.set(
      'model.embed_tokens.weight',
      turned.map((_, at) => turned[(at % hidden) * vocabulary + Math.floor(at / hidden)]!),
    );
    const folder = join(work, 'adapter');
    const config = { use_rslora: true, alpha_pattern: { 'layers\\.0\\.self_attn\\.o_proj': 16 } };
    await writePeftFolder(folder, config, tensors);
    await expectSame(folder, deltas);
  });

  // A parameter of [experts, rows, columns]: newer PEFT has A on the columns, older on the rows.
  it.each(['0.21.2', '0.18.1'])("to stacks of experts' matrices, as PEFT %s", async (peft_version) => {
    const random = randomMatrices(2);
    const [rank, bothRank] = [3, 2];
    const isOld = peft_version === '0.18.1';
    const tensors = new Map<string, Matrix>();
    const deltas = new Map<string, Float32Array>();
    const stack = (name: string, r: number, own: number, columns: number, rows: number) => {
      const [inputs, outputs] = isOld ? [rows, columns] : [columns, rows];
      const [a, b] = [random(r * experts, inputs), random(outputs, r * experts)];
      tensors.set(`${name}.lora_A.weight`, a).set(`${name}.lora_B.weight`, b);
      return Array.from({ length: experts }, (_, e) =>
        Float32Array.from({ length: rows * columns }, (_, at) => {
          const [row, column] = [Math.floor(at / columns), at % columns];
          const [output, input] = isOld ? [column, row] : [row, column];
          let sum = 0;
          // einsum('o r e, e r i -> e o i') of B.reshape(o, r, e) and A.reshape(e, r, i)
          for (let i = 0; i < r; i++) {
            sum +=
              b.values[output * r * experts + i * experts + e]! * a.values[(e * r + i) * inputs + input]!;
          }
          return (own / r) * sum;
        }),
      );
    };
    const name = 'model.layers.1.mlp.experts';
    const both = stack(`${name}.base_layer`, bothRank, 8, hidden, 2 * ffn);
    const down = stack(name, rank, alpha, ffn, hidden);
    const matrix = (e: number, w: string) => `model.layers.1.block_sparse_moe.experts.${e}.${w}.weight`;
    for (let e = 0; e < experts; e++) {
      deltas.set(matrix(e, 'w1'), both[e]!.slice(0, ffn * hidden));
      deltas.set(matrix(e, 'w3'), both[e]!.slice(ffn * hidden));
      deltas.set(matrix(e, 'w2'), down[e]!);
    }
    const folder = join(work, 'adapter');
    // As PEFT itself writes it when it makes stacks of w1 and w3.
    await writePeftFolder(folder, { peft_version, alpha_pattern: { '.*\\.gate_up_proj': 8 } }, tensors);
    await expectSame(folder, deltas);
  });
});

describe('convertLora refuses, in one line that names the file,', () => {
  const q = 'model.layers.0.self_attn.q_proj';
  const random = randomMatrices(3);
  const good = (): [string, Matrix][] => [
    [`${q}.lora_A.weight`, random(2, hidden)],
    [`${q}.lora_B.weight`, random(hidden, 2)],
  ];
  const cases: [problem: string, config: object, tensors: [string, Matrix][], message: RegExp][] = [
    ['another method', { peft_type: 'IA3' }, good(), /config\.json: is a IA3, not a LORA/],
    ['DoRA', { use_dora: true }, good(), /config\.json: has use_dora/],
    ['biases', { lora_bias: true }, good(), /has lora_bias/],
    ['layers that come again', { layer_replication: [[0, 1]] }, good(), /has layer_replication/],
    ['aLoRA', { alora_invocation_tokens: [1] }, good(), /has alora_invocation_tokens/],
    ['an alpha that is none', { lora_alpha: 0 }, good(), /lora_alpha: /],
    ['a pattern that is none', { alpha_pattern: { '(': 1 } }, good(), /"\(" is no regular expression/],
    ['nothing adapted', {}, [], /holds no LoRA/],
    ['whole weights', {}, [['lm_head.weight', random(vocabulary, hidden)]], /lm_head\.weight is of no LoRA/],
    ['half a pair', {}, good().slice(1), /q_proj has only one of its two matrices/],
    ['ranks that differ', {}, [good()[0]!, [`${q}.lora_B.weight`, random(hidden, 3)]], /ranks 2 and 3/],
    [
      'another width',
      {},
      [[`${q}.lora_A.weight`, random(2, 8)], good()[1]!],
      /is for \[32, 8\], and .*base\.gguf has \[32, 32\]/,
    ],
    [
      'a layer too many',
      {},
      good().map(([name, m]) => [name.replace('s.0.', 's.2.'), m]),
      /s\.2\..* cannot be adapted in/,
    ],
    [
      'another architecture',
      {},
      good().map(([name, m]) => [name.replace('q_proj', 'qkv'), m]),
      /qkv cannot be adapted/,
    ],
    [
      'an expert too many',
      {},
      good().map(([name, m]) => [name.replace('self_attn.q_proj', 'block_sparse_moe.experts.4.w1'), m]),
      /experts\.4\.w1 cannot be adapted/,
    ],
    [
      'a stack of other experts',
      {},
      good().map(([name, m]) => [name.replace('self_attn.q_proj', 'mlp.experts'), m]),
      /mlp\.experts: no experts of .* fit \[2, 32\] and \[32, 2\]/,
    ],
  ];
  it.each(cases)('%s', async (_, config, tensors, message) => {
    const folder = join(work, 'adapter');
    await writePeftFolder(folder, config, new Map(tensors));
    const failure = await convertLora({ folder, base, out: join(work, 'a.gguf') }).catch((error) => error);
    expect(failure.message).toMatch(message);
    expect(failure.message).not.toContain('\n');
    expect(failure.message.startsWith(folder)).toBe(true);
  });

  it('a folder of something else', async () => {
    await writeFile(join(work, 'x'), '');
    await expect(convertLora({ folder: work, base, out: join(work, 'a.gguf') })).rejects.toThrow(
      /adapter_config\.json: no such file/,
    );
  });
});
