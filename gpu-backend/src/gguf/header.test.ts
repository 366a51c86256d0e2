import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GgufError } from './errors.ts';
import { readHeader } from './header.ts';
import { findMarkers, namedTokens } from './markers.ts';
import { readModel } from './model.ts';
import { type RangeServer, serveRanges } from './testing/range-server.ts';
import {
  huozi,
  type Shape,
  tensorBytes,
  tensors,
  writeSynthetic,
  writeSyntheticShards,
} from './testing/synthetic.ts';

const small: Shape = {
  layers: 3,
  embedding: 256,
  feedForward: 512,
  heads: 8,
  kvHeads: 2,
  experts: 8,
  expertsUsed: 2,
  vocabulary: 400,
  context: 1024,
};
const folder = mkdtempSync(join(tmpdir(), 'huozi-gguf-'));
const file = (name: string) => join(folder, name);
let server: RangeServer;

beforeAll(async () => {
  server = await serveRanges(folder);
  writeSynthetic(file('small.gguf'), { shape: small, fileType: 'Q4_K_M' });
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

/** The refusal of a file; fails if it is not refused. */
async function refusal(uri: string): Promise<GgufError> {
  const error = await readHeader(uri)
    .then(readModel)
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(GgufError);
  return error as GgufError;
}

test("Huozi's shape: names, shapes, types and bytes of every tensor, without reading the weights", async () => {
  const options = { shape: huozi, fileType: 'Q2_K' } as const;
  const size = writeSynthetic(file('huozi.gguf'), options);
  const header = await readHeader(file('huozi.gguf'));
  expect(header.files).toEqual([{ uri: file('huozi.gguf'), bytes: size }]);
  expect(header.tensors.map(({ name, shape, type, bytes }) => [name, shape, type.name, bytes])).toEqual(
    tensors(options).map((tensor) => [tensor.name, tensor.shape, tensor.type, tensorBytes(tensor)]),
  );
  const model = readModel(header);
  expect(model.parameters.total / 1e9).toBeCloseTo(46.9, 1);
  expect(model.parameters.active / 1e9).toBeCloseTo(13.1, 1);
  expect(model).toMatchObject({ experts: 8, expertsUsed: 2, kvHeads: 8, keyLength: 128, vocabulary: 57_002 });
});

test('over HTTP only the header travels', async () => {
  const before = server.sent();
  const remote = await readHeader(server.url('small.gguf'));
  const local = await readHeader(file('small.gguf'));
  expect(remote.tensors).toEqual(local.tensors);
  expect(remote.metadata).toEqual(local.metadata);
  writeSynthetic(file('large.gguf'), { shape: huozi, fileType: 'BF16' });
  await readHeader(server.url('large.gguf'));
  expect(server.sent() - before).toBeLessThan(10e6);
});

test('any shard of a split file stands for all of them, local or remote', async () => {
  const paths = writeSyntheticShards(file('split'), 3, { shape: small, fileType: 'Q8_0' });
  writeSynthetic(file('whole.gguf'), { shape: small, fileType: 'Q8_0' });
  const whole = await readHeader(file('whole.gguf'));
  for (const uri of [paths[1] ?? '', server.url('split-00003-of-00003.gguf')]) {
    const split = await readHeader(uri);
    expect(split.files).toHaveLength(3);
    expect(split.tensors).toEqual(whole.tensors);
    expect(readModel(split)).toEqual({ ...readModel(whole), uri });
  }
  rmSync(paths[2] ?? '');
  expect(await refusal(paths[0] ?? '')).toMatchObject({ problem: 'missing', file: paths[2] });
});

test('one tensor an expert, as files before spring 2024 have them, weighs the same', async () => {
  writeSynthetic(file('stacked.gguf'), { shape: small, fileType: 'Q3_K_M' });
  writeSynthetic(file('separate.gguf'), { shape: small, fileType: 'Q3_K_M', separateExperts: true });
  const stacked = readModel(await readHeader(file('stacked.gguf')));
  const separate = readModel(await readHeader(file('separate.gguf')));
  expect(separate.tensors.length).toBeGreaterThan(stacked.tensors.length);
  expect(separate.layers).toEqual(stacked.layers);
  expect(separate.parameters).toEqual(stacked.parameters);
});

test('markers are found by text, with the type that the converter gave them', async () => {
  for (const [markerType, type] of [
    [3, 'control'],
    [4, 'user-defined'],
  ] as const) {
    writeSynthetic(file('markers.gguf'), { shape: small, fileType: 'Q8_0', markerType });
    const header = await readHeader(file('markers.gguf'));
    expect(findMarkers(header)).toEqual([
      { text: '<|beginofutterance|>', id: 398, type },
      { text: '<|endofutterance|>', id: 399, type },
    ]);
    expect(namedTokens(header).get('eos')).toEqual({ text: '</s>', id: 2, type: 'control' });
  }
});

test('what is no model is refused in one line that names the file', async () => {
  writeFileSync(file('text.gguf'), 'GGML is another format');
  writeFileSync(file('empty.gguf'), '');
  writeFileSync(file('stub.gguf'), 'GGUF\x03\0\0\0');
  writeSynthetic(file('qwen.gguf'), {
    shape: small,
    fileType: 'Q8_0',
    metadata: { 'general.architecture': 'qwen2moe' },
  });
  writeSynthetic(file('dense.gguf'), {
    shape: small,
    fileType: 'Q8_0',
    metadata: { 'llama.expert_count': { type: 'u32', value: 0 } },
  });
  writeSynthetic(file('headless.gguf'), {
    shape: small,
    fileType: 'Q8_0',
    metadata: { 'llama.attention.head_count': undefined },
  });
  writeSynthetic(file('deep.gguf'), {
    shape: small,
    fileType: 'Q8_0',
    metadata: { 'llama.block_count': { type: 'u32', value: 4_000_000_000 } },
  });
  const problems: Record<string, string> = {
    'nothing.gguf': 'missing',
    '': 'missing',
    'text.gguf': 'not-gguf',
    'empty.gguf': 'not-gguf',
    'stub.gguf': 'truncated',
    'qwen.gguf': 'unsupported',
    'dense.gguf': 'unsupported',
    'headless.gguf': 'damaged',
    'deep.gguf': 'damaged',
  };
  for (const [name, problem] of Object.entries(problems)) {
    const error = await refusal(file(name));
    expect(error.problem, name).toBe(problem);
    expect(error.message).toMatch(new RegExp(`^${file(name)}: .+$`));
  }
});

test('a server that fails, lacks the file, or would send it whole is refused', async () => {
  expect(await refusal(server.url('nothing.gguf'))).toMatchObject({ problem: 'unreachable' });
  const whole = await serveRanges(folder, { ranges: false });
  expect((await refusal(whole.url('small.gguf'))).message).toContain('does not answer range requests');
  whole.close();
  expect(await refusal(whole.url('small.gguf'))).toMatchObject({ problem: 'unreachable' });
});

test('cut anywhere, a file is refused: in the header, and in the weights, which are never read', async () => {
  const size = statSync(file('small.gguf')).size;
  for (let i = 1; i <= 60; i++) {
    copyFileSync(file('small.gguf'), file('cut.gguf'));
    truncateSync(file('cut.gguf'), Math.floor((size * i) / 61));
    expect(['truncated', 'damaged']).toContain((await refusal(file('cut.gguf'))).problem);
  }
  truncateSync(file('cut.gguf'), size - 1);
  expect(await refusal(file('cut.gguf'))).toMatchObject({ problem: 'truncated' });
});

test('with bits flipped anywhere in the header a file is read or refused, never anything else', async () => {
  const header = readFileSync(file('small.gguf'));
  const headerBytes = header.indexOf('blk.2.ffn_down_exps.weight') + 60;
  let state = 1;
  const random = (below: number) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  let refused = 0;
  for (let i = 0; i < 200; i++) {
    const damaged = Buffer.from(header.subarray(0, headerBytes));
    for (let flips = 1 + random(4); flips > 0; flips--) {
      const at = random(headerBytes);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << random(8));
    }
    writeFileSync(file('flipped.gguf'), damaged);
    truncateSync(file('flipped.gguf'), header.length);
    const error = await readHeader(file('flipped.gguf'))
      .then(readModel)
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    if (error === undefined) continue;
    refused++;
    expect(error).toBeInstanceOf(GgufError);
    expect((error as Error).message).not.toContain('\n');
  }
  expect(refused).toBeGreaterThan(10);
}, 60_000);
