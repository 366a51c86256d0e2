/**
 * `npm run test:adapters -- FOLDER WEIGHTS`: what adapters.py left in FOLDER, of the model in the folder WEIGHTS. Ours
 * makes the same tensors of both of PEFT's forms as llama.cpp's own converter makes of the one that it reads, and our
 * engine with the adapter says what transformers + PEFT said.
 */
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { loadEngine } from '../../gpu-backend/src/engine/engine.ts';
import { ask, greedy, start, tinyModel } from '../../gpu-backend/src/engine/testing/generate.ts';
import { convert } from '../../gpu-backend/src/files/convert.ts';
import { convertLora } from '../../gpu-backend/src/files/convert-lora.ts';
import { readSource } from '../../gpu-backend/src/gguf/stack-experts.ts';

const [folder, weights] = process.argv.slice(2);
if (!folder || !weights) throw new Error('usage: adapters.ts FOLDER WEIGHTS');

/** By name: shape and bytes, as text. */
async function tensorsOf(path: string): Promise<Map<string, string>> {
  const { tensors } = await readSource(path);
  const file = await open(path);
  try {
    const found = new Map<string, string>();
    for (const { name, shape, type, parts } of tensors) {
      const [{ offset, bytes }] = parts as [{ offset: number; bytes: number }];
      const content = Buffer.alloc(bytes);
      await file.read(content, 0, bytes, offset);
      found.set(name, `${type} [${shape.join(', ')}] ${content.toString('base64')}`);
    }
    return found;
  } finally {
    await file.close();
  }
}

let failed = 0;
const theirs = await tensorsOf(join(folder, 'single.gguf'));
for (const form of ['single', 'stacked']) {
  const out = join(folder, `${form}.ours.gguf`);
  await convertLora({ folder: join(folder, form), base: tinyModel, out, force: true });
  const ours = await tensorsOf(out);
  const names = new Set([...theirs.keys(), ...ours.keys()]);
  const different = [...names].filter((name) => theirs.get(name) !== ours.get(name));
  failed += different.length;
  process.stdout.write(
    `${form}: ${names.size - different.length} of ${names.size} tensors as llama.cpp's converter makes them, ` +
      `bit for bit ${different.slice(0, 3).join(', ')}\n`,
  );
}

const lines = readFileSync(join(folder, 'answers.jsonl'), 'utf8').trim().split('\n');
// As PEFT has them: with Q8_0 llama.cpp also rounds what it multiplies them with, which decides some near-ties.
const modelPath = join(folder, 'base.f32.gguf');
await convert({ folder: weights, out: modelPath, type: 'F32', force: true });
const engine = await loadEngine({
  ...{ modelPath, slots: 8, contextTokens: 8192, batchTokens: 256, threads: 1, gpuLayers: 0 },
  adapters: [{ name: 'peft', path: join(folder, 'stacked') }],
});

/** How far the second best token lies behind ours where our answer leaves theirs, natural logarithms. */
async function marginWhereTheyPart(question: string, theirs: string): Promise<number> {
  const { events, details } = await start(engine, {
    promptIds: ask(engine, question),
    sampling: greedy,
    maxTokens: 97,
    adapter: 'peft',
    logprobs: 2,
    // Else the end, which may be where they part, would not be told.
    ignoreEos: true,
  }).answer;
  let said = '';
  const told = [...events.flatMap((event) => event.details?.logprobs ?? []), ...(details?.logprobs ?? [])];
  for (const { token, top_logprobs } of told) {
    said += token;
    const [best, second] = top_logprobs;
    if (!theirs.startsWith(said) && best && second) return best.logprob - second.logprob;
  }
  return Number.NaN;
}

let [same, changed] = [0, 0];
try {
  for (const line of lines) {
    const { question, adapted } = JSON.parse(line) as { question: string; adapted: string };
    const request = { promptIds: ask(engine, question), sampling: greedy, maxTokens: 96 };
    const { text } = await start(engine, { ...request, adapter: 'peft' }).answer;
    const plain = await start(engine, request).answer;
    if (plain.text !== text) changed++;
    if (text === adapted) same++;
    else {
      const margin = await marginWhereTheyPart(question, adapted);
      process.stdout.write(`${JSON.stringify({ question, ours: text, theirs: adapted, margin })}\n`);
    }
  }
} finally {
  await engine.close();
}
process.stdout.write(
  `${same} of ${lines.length} greedy answers are transformers + PEFT's; ${changed} are others than without the adapter\n`,
);
process.exitCode = failed > 0 || same < 0.95 * lines.length || changed < lines.length / 2 ? 1 : 0;
