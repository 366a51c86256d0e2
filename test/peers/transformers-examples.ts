/**
 * The Transformers and ModelScope examples on huozi-tiny's safetensors beside our own edge, node and engine: the same
 * greedy text.
 *
 * usage: tsx --conditions=huozi-source test/peers/transformers-examples.ts PYTHON HF_FOLDER
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Huozi } from 'huozi';
import { startStack } from '../stack.ts';

const [python, folder] = process.argv.slice(2);
if (!python || !folder) throw new Error('usage: transformers-examples.ts PYTHON HF_FOLDER');

const prompts = ['背诵《静夜思》', '中国的首都是哪里？', '3+5=?', '从1数到10'];
const examples = ['transformers/quickstart.py', 'transformers/stream.py', 'modelscope/generate.py'];
const run = promisify(execFile);

/** The whole prompt comes back as well where the example prints it, with its markers. */
function answerIn(output: string): string {
  const after = output.split('<|beginofutterance|>').at(-1) ?? '';
  return after
    .replace(/^\s*助手\n/, '')
    .replace('<|endofutterance|>', '')
    .trim();
}

const stack = await startStack();
const huozi = new Huozi({ baseURL: stack.baseURL, apiKey: stack.apiKey });
const differences: string[] = [];
try {
  for (const prompt of prompts) {
    const { choices } = await huozi.chat.completions.create({
      model: 'huozi',
      messages: [
        { role: 'system', content: '你是一个智能助手' },
        { role: 'user', content: prompt },
      ],
      temperature: 0,
      max_tokens: 64,
    });
    const ours = choices[0]?.message.content?.trim() ?? '';
    for (const example of examples) {
      const path = fileURLToPath(new URL(`../../gpu-backend/examples/${example}`, import.meta.url));
      const args = [path, folder, '--greedy', '--prompt', prompt, '--max-new-tokens', '64'];
      const { stdout } = await run(python, args, { env: { ...process.env, OMP_NUM_THREADS: '1' } });
      const theirs = answerIn(stdout);
      if (theirs !== ours) differences.push(`${example}, ${prompt}: ${theirs} | ours: ${ours}`);
    }
  }
} finally {
  await stack.stop();
}
for (const difference of differences) process.stdout.write(`${difference}\n`);
const all = prompts.length * examples.length;
process.stdout.write(`examples: ${all - differences.length} of ${all} greedy answers are ours\n`);
process.exitCode = differences.length > 0 ? 1 : 0;
