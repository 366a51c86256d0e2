/** The readers of `huozi eval` on small made-up files in each suite's published form, and what they read out of answers. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { choiceIn } from '../src/cli/eval/choice.ts';
import { csvRows } from '../src/cli/eval/csv.ts';
import { lettersIn, scoreGaokao } from '../src/cli/eval/gaokao.ts';
import { numberIn } from '../src/cli/eval/gsm8k.ts';
import { codeIn, programOf } from '../src/cli/eval/humaneval.ts';
import { judgeMessages, judgePrompts, ratingIn } from '../src/cli/eval/mt-bench.ts';
import { suites } from '../src/cli/eval/suites.ts';

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'huozi-eval-'));
});
afterEach(() => rm(data, { recursive: true, force: true }));

async function put(path: string, text: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(data, path)), { recursive: true });
  await writeFile(join(data, path), text);
}
const lines = (...values: object[]) => values.map((value) => JSON.stringify(value)).join('\n');
const load = (name: string, shots = 0) => suites[name]!.load({ data, shots });
const contents = (messages: { role: string; content: unknown }[]) =>
  messages.map(({ role, content }) => [role, content]);

test('CSV: quotes, doubled quotes, breaks within them, a byte order mark, either line end', () => {
  expect(csvRows('\ufeffa,"b ""c"", d"\r\n"two\nlines",\n\nx,y')).toEqual([
    ['a', 'b "c", d'],
    ['two\nlines', ''],
    ['x', 'y'],
  ]);
});

describe('C-Eval and CMMLU', () => {
  const head = 'id,question,A,B,C,D,answer';
  test('examples as rounds, the subject in the system turn', async () => {
    await put('dev/computer_network_dev.csv', `${head},explanation\n0,例题,甲,乙,丙,丁,B,因为\n`);
    await put('val/computer_network_val.csv', `${head}\n0,"题,目",1,2,3,4,C\n1,又,1,2,3,4,A\n`);
    const items = await load('ceval', 1);
    expect(items.map(({ id, group, key }) => [id, group, key])).toEqual([
      ['computer_network/0', 'computer_network', { letter: 'C', options: 4 }],
      ['computer_network/1', 'computer_network', { letter: 'A', options: 4 }],
    ]);
    expect(contents(items[0]!.messages)).toEqual([
      ['system', '以下是中国关于computer network考试的单项选择题，请选出其中的正确答案。'],
      ['user', '例题\nA. 甲\nB. 乙\nC. 丙\nD. 丁\n答案：'],
      ['assistant', 'B'],
      ['user', '题,目\nA. 1\nB. 2\nC. 3\nD. 4\n答案：'],
    ]);
  });
  test('too few examples, no answer, a short row and a missing folder are told with the file', async () => {
    await expect(load('ceval', 0)).rejects.toThrow('no folder val');
    await put('val/x_val.csv', `${head}\n0,题,1,2,3,4,\n`);
    await expect(load('ceval', 0)).rejects.toThrow(/x_val.csv: question 1 has no answer/);
    await put('val/x_val.csv', `${head}\n0,题,1,2\n`);
    await expect(load('ceval', 0)).rejects.toThrow(/row 2 is short/);
    await put('val/x_val.csv', `${head}\n0,题,1,2,3,4,D\n`);
    await put('dev/x_dev.csv', `${head}\n0,题,1,2,3,4,D\n`);
    await expect(load('ceval', 5)).rejects.toThrow(/dev\/x_dev.csv has 1 examples, not 5/);
  });
  test('CMMLU names its columns otherwise', async () => {
    await put('dev/anatomy.csv', ',Question,A,B,C,D,Answer\n0,例,1,2,3,4,A\n');
    await put('test/anatomy.csv', ',Question,A,B,C,D,Answer\n0,题,1,2,3,4,D\n');
    const [item] = await load('cmmlu', 1);
    expect(item!.key).toEqual({ letter: 'D', options: 4 });
    expect(item!.messages.at(-1)!.content).toBe('题\nA. 1\nB. 2\nC. 3\nD. 4\n答案是：');
  });
});

test('MMLU: no row of names', async () => {
  await put('dev/abstract_algebra_dev.csv', 'Q0,1,2,3,4,B\n');
  await put('test/abstract_algebra_test.csv', '"Find, if any",0,4,2,6,B\n');
  const [item] = await load('mmlu', 1);
  expect(contents(item!.messages)).toEqual([
    ['system', 'The following are multiple choice questions (with answers) about abstract algebra.'],
    ['user', 'Q0\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:'],
    ['assistant', 'B'],
    ['user', 'Find, if any\nA. 0\nB. 4\nC. 2\nD. 6\nAnswer:'],
  ]);
  await put('test/abstract_algebra_test.csv', 'Q,1,2,3,B\n');
  await expect(load('mmlu', 1)).rejects.toThrow('row 1 has 5 cells, not 6');
});

test('HellaSwag: four endings as letters', async () => {
  await put(
    'hellaswag_val.jsonl',
    lines({ ind: 24, activity_label: 'Roof', ctx: 'A man is', endings: ['a', 'b', 'c', 'd'], label: 3 }),
  );
  const [item] = await load('hellaswag');
  expect([item!.id, item!.group, item!.key]).toEqual(['24', 'Roof', { letter: 'D', options: 4 }]);
  await put('hellaswag_val.jsonl', lines({ ctx: 'A man is', endings: ['a', 'b'], label: 0 }));
  await expect(load('hellaswag')).rejects.toThrow('line 1 has no label');
});

describe('GSM8K', () => {
  test("examples keep their reasoning, not the calculator's notes", async () => {
    await put(
      'train.jsonl',
      lines({ question: 'Q1', answer: 'She has 48/2 = <<48/2=24>>24 clips.\n#### 24' }),
    );
    await put('test.jsonl', lines({ question: 'Q2', answer: 'x\n#### 1,080' }));
    const [item] = await load('gsm8k', 1);
    expect(contents(item!.messages)).toEqual([
      ['user', 'Q1'],
      ['assistant', 'She has 48/2 = 24 clips.\n#### 24'],
      ['user', 'Q2'],
    ]);
    expect(item!.key).toBe(1080);
    await expect(load('gsm8k', 4)).rejects.toThrow('fewer than 4');
  });
  test.each<[string, number | undefined]>([
    ['so 3 + 4 = 7.\n#### 7', 7],
    ['#### $1,080.50 in all', 1080.5],
    ['He has 12 apples, so he eats 5.', 5],
    ['温度是 -3', -3],
    ['１２', 12],
    ['none', undefined],
  ])('%j', (answer, number) => expect(numberIn(answer)).toBe(number));
});

describe('GAOKAO', () => {
  test('several answers to one text; Obj_Prompt.json where it lies beside', async () => {
    const example = [{ question: '1. 甲 2. 乙', answer: ['A', 'C'], score: 3 }];
    await put(
      '2010-2022_English_Cloze_Test.json',
      JSON.stringify({ keywords: '2010-2022_English_Cloze_Test', example }),
    );
    const [plain] = await load('gaokao');
    expect(plain!.messages[0]!.content).toMatch(/【答案】和<eoa>之间[\s\S]*1. 甲 2. 乙$/);
    await put(
      'Obj_Prompt.json',
      JSON.stringify({ examples: [{ keyword: '2010-2022_English_Cloze_Test', prefix_prompt: '请做：' }] }),
    );
    const [item] = await load('gaokao');
    expect(item!.messages[0]!.content).toBe('请做：1. 甲 2. 乙');
    expect(scoreGaokao(item!, ['【解析】先 B <eoe>\n【答案】A <eoa>\n【答案】 D <eoa>'])).toEqual({
      points: 3,
      of: 6,
      read: 'A,D',
    });
  });
  test('physics: half the points for a part of the letters, none beside a wrong one', async () => {
    const example = [{ question: '题', answer: ['BD'], score: 6 }];
    await put('p.json', JSON.stringify({ keywords: '2010-2022_Physics_MCQs', example }));
    const [item] = await load('gaokao');
    expect(scoreGaokao(item!, ['【答案】 B、D <eoa>'])).toEqual({ points: 6, of: 6, read: 'BD' });
    expect(scoreGaokao(item!, ['【答案】 D <eoa>'])).toEqual({ points: 3, of: 6, read: 'D' });
    expect(scoreGaokao(item!, ['【答案】 CD <eoa>'])).toEqual({ points: 0, of: 6, read: 'CD' });
    expect(scoreGaokao(item!, ['不知道'])).toEqual({ points: 0, of: 6, read: null });
  });
  test('without marks the last line with letters counts', () => {
    expect(lettersIn('先看 A。\n所以选 C', 1, false)).toEqual(['C']);
    expect(lettersIn('没有', 2, false)).toEqual([]);
  });
});

describe('a choice', () => {
  test.each<[string, string | undefined]>([
    ['B', 'B'],
    ['Ｂ', 'B'],
    ['(C) because', 'C'],
    ['B. 乙', 'B'],
    ['答案：D', 'D'],
    ['A 选项是错的，答案是 B。', 'B'],
    ['正确答案为选项C', 'C'],
    ['故选Ａ', 'A'],
    ['The answer is (D).', 'D'],
    ['**Answer:** **C**', 'C'],
    ['I think that it must be C, clearly', 'C'],
    ['A or B', undefined],
    ['A、B 都对', undefined],
    ['A bird sings', undefined],
    ['A bird chose B', 'B'],
    ['Both are wrong', undefined],
    ['答案是 F', undefined],
    ['', undefined],
  ])('%j', (answer, letter) => expect(choiceIn(answer)).toBe(letter));
});

describe('HumanEval', () => {
  const problem = {
    task_id: 'T/0',
    prompt: 'from typing import List\n\n\ndef two(x: int) -> int:\n    """Two more."""\n',
    entry_point: 'two',
    test: 'def check(f):\n    assert f(1) == 3\n',
  };
  test('is read, gzipped as it is published', async () => {
    await put('HumanEval.jsonl.gz', gzipSync(lines(problem)));
    const [item] = await load('humaneval');
    expect(item!.id).toBe('T/0');
    expect(item!.messages[0]!.content).toContain('def two(x: int)');
    await put('HumanEval.jsonl', lines({ ...problem, test: 5 }));
    await expect(load('humaneval')).rejects.toThrow('line 1: test is no string');
  });
  test('a whole function stands after the imports; a body continues the prompt', () => {
    const whole = 'Here:\n```python\ndef two(x):\n    return x + 2\n```\nIt adds.';
    expect(codeIn(whole, 'two')).toBe('def two(x):\n    return x + 2\n');
    expect(programOf(problem, whole)).toMatch(/^from typing import List[\s\S]*def two\(x\):\n/);
    expect(programOf(problem, whole)).not.toContain('Two more');
    expect(programOf(problem, '    return x + 2')).toContain(
      '"""Two more."""\n    return x + 2\n\ndef check',
    );
    expect(codeIn('```\ndef two(x):\n  pass', 'two')).toBe('def two(x):\n  pass');
  });
});

describe('MT-Bench', () => {
  const questions = lines(
    { question_id: 81, category: 'writing', turns: ['Write {answer}', 'Again'] },
    { question_id: 1101, category: 'zh_math', turns: ['几？', '又几？'], reference: ['二', '三'] },
  );
  const prompt = (name: string, prompt_template: string) => ({
    name,
    type: 'single',
    system_prompt: `system of ${name}`,
    prompt_template,
  });
  test('two turns; the judge sees FastChat’s prompt, in Chinese for Chinese', async () => {
    await put('question.jsonl', questions);
    await put(
      'judge_prompts.jsonl',
      lines(
        prompt('single-v1', 'Q {question} A {answer}'),
        prompt('single-v1-multi-turn', '{question_1}|{answer_1}|{question_2}|{answer_2}'),
        prompt('single-math-v1', 'english'),
        prompt('zh_single-math-v1', '问{question} 参考{ref_answer_1} 答{answer}'),
        prompt('zh_single-math-v1-multi-turn', '{ref_answer_1}{ref_answer_2}|{answer_1}|{answer_2}'),
      ),
    );
    const [writing, math] = await load('mt-bench-zh');
    expect(writing!.followUps).toEqual(['Again']);
    const prompts = await judgePrompts(join(data, 'question.jsonl'));
    const judge = (item: typeof math, turn: 1 | 2) =>
      contents(judgeMessages(prompts, item!, ['one {answer_2}', 'two'], turn));
    // What was asked or answered is never filled in again.
    expect(judge(writing, 1)).toEqual([
      ['system', 'system of single-v1'],
      ['user', 'Q Write {answer} A one {answer_2}'],
    ]);
    expect(judge(writing, 2)[1]![1]).toBe('Write {answer}|one {answer_2}|Again|two');
    expect(judge(math, 1)[1]![1]).toBe('问几？ 参考二 答one {answer_2}');
    expect(judge(math, 2)[1]![1]).toBe('二三|one {answer_2}|two');
  });
  test.each<[string, number | undefined]>([
    ['Rating: [[7]]', 7],
    ['评分：［［8.5］］', 8.5],
    ['[[rating]] is [6]', 6],
    ['[[11]]', undefined],
    ['seven', undefined],
  ])('%j', (text, rating) => expect(ratingIn(text)).toBe(rating));
});
