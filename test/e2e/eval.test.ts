/** `huozi eval` as an operator runs it: the real program, through the real edge, node and model. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hostileServer } from '../../sdk/test/hostile-server.ts';
import { type Stack, startStack } from '../stack.ts';

const main = fileURLToPath(new URL('../../sdk/src/cli/main.ts', import.meta.url));

let stack: Stack;
let folder: string;
beforeAll(async () => {
  stack = await startStack();
  folder = await mkdtemp(join(tmpdir(), 'huozi-eval-'));
});
afterAll(async () => {
  await stack?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

async function evaluate(args: string[], env: Record<string, string> = {}) {
  const child = spawn(
    process.execPath,
    ['--conditions=huozi-source', '--import', import.meta.resolve('tsx'), main, 'eval', ...args],
    {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        HUOZI_BASE_URL: stack.baseURL,
        HUOZI_API_KEY: stack.apiKey,
        ...env,
      },
    },
  );
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, out, err };
}

const lines = (...values: object[]) => `${values.map((value) => JSON.stringify(value)).join('\n')}\n`;

it('asks, scores and reports; run again, nothing is asked twice', async () => {
  // In GSM8K's form, sums that huozi-tiny can do; the last answer is made up to be wrong.
  await writeFile(
    join(folder, 'test.jsonl'),
    lines(
      { question: '3+5=?', answer: '#### 8' },
      { question: '2+7=?', answer: '#### 9' },
      { question: '4+4=?', answer: '#### 1000' },
    ),
  );
  const args = ['gsm8k', '--data', 'test.jsonl', '--shots', '0', '--json', '-c', '2'];
  const first = await evaluate(args);
  expect(first).toMatchObject({ code: 0, err: '' });
  const report = JSON.parse(first.out);
  expect(report).toMatchObject({
    answered: 3,
    of: 3,
    whole: true,
    score: 66.67,
    published: 66.19,
    failed: 0,
  });
  const kept = await readFile(join(folder, 'eval-gsm8k.jsonl'), 'utf8');
  const again = await evaluate(args);
  expect(JSON.parse(again.out)).toEqual(report);
  // Every line was there before: none is of a new question. (An answer's line before its score went.)
  const before = kept.split('\n');
  for (const line of (await readFile(join(folder, 'eval-gsm8k.jsonl'), 'utf8')).split('\n')) {
    expect(before).toContain(line);
  }
  const text = await evaluate(args.filter((one) => one !== '--json'));
  expect(text.out).toContain('Huozi 3.5, published');
}, 60_000);

it('MT-Bench: two turns each, rated by any OpenAI-compatible judge', async () => {
  await writeFile(
    join(folder, 'question.jsonl'),
    lines(
      { question_id: 1, category: 'writing', turns: ['背诵《静夜思》', '从1数到10'] },
      { question_id: 2, category: 'math', turns: ['3+5=?', '2+7=?'], reference: ['8', '9'] },
    ),
  );
  await writeFile(
    join(folder, 'judge_prompts.jsonl'),
    lines(
      ...['single-v1', 'single-v1-multi-turn', 'single-math-v1', 'single-math-v1-multi-turn'].map((name) => ({
        name,
        type: 'single',
        system_prompt: name,
        prompt_template: name.includes('multi') ? '{answer_1} then {answer_2}' : '{answer}',
      })),
    ),
  );
  // A double in the place of GPT-4, which is not to be had here: it rates first turns 8 and second turns 5.
  const judge = await hostileServer(({ body, response }) => {
    const { messages } = JSON.parse(body) as { messages: { content: string }[] };
    const content = `Good. [[${messages[0]!.content.includes('multi') ? 5 : 8}]]`;
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
      }),
    );
  });
  try {
    const args = ['mt-bench', '--data', '.', '--json', '--max-tokens', '64'];
    const unrated = await evaluate(args);
    expect(JSON.parse(unrated.out)).toMatchObject({ answered: 2, score: null, failed: 0 });
    const rated = await evaluate([...args, '--judge-model', 'gpt-4'], {
      HUOZI_JUDGE_BASE_URL: judge.baseURL,
      HUOZI_JUDGE_API_KEY: 'judge',
    });
    expect(rated).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(rated.out)).toMatchObject({
      score: 6.5,
      turns: [
        { turn: 1, ratings: 2, score: 8 },
        { turn: 2, ratings: 2, score: 5 },
      ],
    });
    // The judge saw what the model said, and not the edge's key.
    expect(judge.tries.map(({ body }) => body).join()).toContain('床前明月光');
    for (const { headers } of judge.tries) expect(headers.authorization).toBe('Bearer judge');
  } finally {
    await judge.close();
  }
}, 60_000);

it('wrong use is told before anything is asked', async () => {
  const wrong = async (...args: string[]) => (await evaluate(args)).err;
  expect(await wrong('nothing', '--data', '.')).toContain('no suite nothing; there are ceval, cmmlu');
  expect(await wrong('gsm8k')).toContain('--data is missing');
  expect(await wrong('gsm8k', '--data', 'nowhere')).toContain('nowhere is not there');
  expect(await wrong('gsm8k', '--data', '.', '--judge-model', 'x', '--shots', '0')).toContain(
    'needs no judge',
  );
}, 60_000);
