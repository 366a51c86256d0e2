/** `plan --engine vllm` as a person or a script calls it. */
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';
import { tinyModel } from '../engine/testing/generate.ts';
import { UsageError } from './command.ts';
import { parseEngine } from './engine-flags.ts';
import { plan } from './plan.ts';

const folder = fileURLToPath(new URL('../../test/fixtures/mixtral-hf', import.meta.url));

async function run(...args: string[]): Promise<{ code: number; stdout: string }> {
  let stdout = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  try {
    return { code: (await plan.run([...args, '--engine', 'vllm'])) ?? 0, stdout };
  } finally {
    write.mockRestore();
  }
}

async function json(...args: string[]) {
  const { code, stdout } = await run(...args, '--json');
  return { code, ...JSON.parse(stdout) };
}

interface Split {
  tensor_parallel_size: number;
  pipeline_parallel_size: number;
  data_parallel_size: number;
  enable_expert_parallel: boolean;
  fits: boolean;
  problem?: string;
  weights_bytes: number;
  kv_bytes: number;
  kv_tokens: number;
  vocabulary_rows: number;
}

it("whole on one GPU Huozi's weights are the 93.8 GB of its shards, and its vocabulary is padded", async () => {
  const planned = await json('huozi', '--gpus', '1x141GB');
  expect(planned).toMatchObject({ code: 0, fits: true, vocabulary: 57_002, vocabulary_padded: 57_024 });
  const [whole] = planned.splits as Split[];
  expect(whole!.weights_bytes / 1e9).toBeCloseTo(93.8, 1);
  // 131,072 bytes a token.
  expect(whole!.kv_tokens).toBe(Math.floor(whole!.kv_bytes / 131_072));
});

it('shares rows, heads and experts among eight GPUs, and says how to serve so', async () => {
  const planned = await json('huozi', '--gpus', '8x80GB', '--context', '32768');
  const splits = planned.splits as Split[];
  for (const one of splits) {
    const { tensor_parallel_size: tp, pipeline_parallel_size: pp, data_parallel_size: dp } = one;
    expect(tp * pp * dp).toBe(8);
    expect(one.vocabulary_rows * tp).toBe(57_024);
  }
  expect(splits[0]).toMatchObject({ tensor_parallel_size: 8, pipeline_parallel_size: 1, fits: true });
  expect(splits[0]!.weights_bytes / 1e9).toBeCloseTo(93.8 / 8, 1);
  expect(planned.serve_args).toEqual(
    expect.arrayContaining(['--engine', 'vllm', '--tensor-parallel-size', '8']),
  );
  // The command line that it prints is one that serve takes.
  const end = (planned.serve_args as string[]).indexOf('--');
  expect(end).toBe(-1);
  expect(() => parseEngine({ engine: 'vllm', 'tensor-parallel-size': '8' }, [], 32_768)).not.toThrow();
});

it('says what vLLM would not start with, and why', async () => {
  const planned = await json('huozi', '--gpus', '6x80GB');
  const six = (planned.splits as Split[]).filter(({ tensor_parallel_size: tp }) => tp === 6 || tp === 3);
  expect(six.length).toBeGreaterThan(0);
  for (const { fits, problem } of six) {
    expect(fits).toBe(false);
    expect(problem).toMatch(/do not divide/);
  }
});

it('exits 3 when nothing fits, and what it suggests fits', async () => {
  const { code, stdout } = await run('huozi', '--gpus', '1x80GB');
  expect(code).toBe(3);
  expect(stdout).toContain('does not fit');
  const { would_fit } = await json('huozi', '--gpus', '1x80GB');
  const texts = (would_fit as { text: string }[]).map(({ text }) => text);
  expect(texts).toEqual(['--quantization fp8', '--gpus 2x80GB']);
  expect(await json('huozi', '--gpus', '1x80GB', '--quantization', 'fp8')).toMatchObject({ code: 0 });
  expect(await json('huozi', '--gpus', '2x80GB')).toMatchObject({ code: 0, fits: true });
});

it('quantised, on small cards and over nodes', async () => {
  const awq = await json('huozi', '--gpus', '2x24GB', '--quantization', 'awq');
  expect(awq.serve_args.slice(-3)).toEqual(['--', '--quantization', 'awq_marlin']);
  const two = await json('huozi', '--gpus', '8x24GB', '--nodes', '2');
  const [best] = two.splits as Split[];
  expect(best).toMatchObject({ tensor_parallel_size: 8, pipeline_parallel_size: 2, fits: true });
  expect(two.serve_args).toEqual(expect.arrayContaining(['--nnodes', '2']));
});

it('reads a config.json, its folder, and a GGUF', async () => {
  const ofFolder = await json(folder, '--gpus', '1x1GB', '--context', '64');
  expect(await json(`${folder}/config.json`, '--gpus', '1x1GB', '--context', '64')).toMatchObject({
    splits: ofFolder.splits,
  });
  const tiny = await json(tinyModel, '--gpus', '2x8GB', '--context', '4096');
  expect(tiny).toMatchObject({ code: 0, vocabulary: 5266, vocabulary_padded: 5312 });
});

it('wrong usage names the mistake', async () => {
  for (const args of [[], ['--gpus', '80GB'], ['--gpus', '8x80GB', '--quantization', 'int3']]) {
    await expect(run('huozi', ...args)).rejects.toBeInstanceOf(UsageError);
  }
  await expect(plan.run(['huozi', '--engine', 'sglang'])).rejects.toBeInstanceOf(UsageError);
});
