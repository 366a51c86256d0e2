/** GAOKAO-Bench, objective questions: JSON files by subject; several answers to one text are usual. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UsageError } from '../terminal.ts';
import type { Item, Score, Suite } from './suite.ts';

interface Example {
  index?: number;
  year?: string;
  question: string;
  answer: string[];
  score?: number;
}

interface Key {
  answer: string[];
  /** Points for each of them. */
  score: number;
  /** Several letters to one question: half the points for some of them and none that is wrong. */
  isMulti: boolean;
}

/** As in the benchmark's own Obj_Prompt.json, where that does not lie beside the questions. */
const standard = (letters: string) =>
  `请你做下面的选择题。\n请你一步一步思考并将思考过程写在【解析】和<eoe>之间。你将从${letters}中选出正确的答案，并写在【答案】和<eoa>之间。\n例如：【答案】 A <eoa>\n完整的题目回答的格式如下：\n【解析】 ... <eoe>\n【答案】 ... <eoa>\n请你严格按照上述格式作答。\n题目如下：`;

/** The letters in each 【答案】, or of the last line that has any. */
export function lettersIn(answer: string, count: number, isMulti: boolean): string[] {
  const text = answer.normalize('NFKC');
  const marked = [...text.matchAll(/【答案】([^【<]*)/g)].map(([, part]) => part!);
  const part =
    marked.length > 0
      ? marked.join(' ')
      : (text
          .trim()
          .split('\n')
          .findLast((line) => /[A-G]/.test(line)) ?? '');
  const letters = part.match(/(?<![A-Za-z])[A-G]+(?![A-Za-z])/g) ?? [];
  if (isMulti) return [[...new Set(letters.join(''))].sort().join('')].filter(Boolean);
  return letters
    .join('')
    .split('')
    .slice(marked.length > 0 ? 0 : -count)
    .slice(0, count);
}

export function scoreGaokao({ key }: Item, [answer = '']: readonly string[]): Score {
  const { answer: right, score, isMulti } = key as Key;
  const read = lettersIn(answer, right.length, isMulti);
  let points = 0;
  for (const [at, letters] of right.entries()) {
    const mine = read[at] ?? '';
    if (mine === letters) points += score;
    else if (isMulti && mine && [...mine].every((letter) => letters.includes(letter))) points += score / 2;
  }
  return { points, of: score * right.length, read: read.join(',') || null };
}

async function promptsOf(data: string): Promise<Map<string, string>> {
  try {
    const { examples } = JSON.parse(await readFile(join(data, 'Obj_Prompt.json'), 'utf8'));
    return new Map(
      (examples as { keyword: string; prefix_prompt: string }[]).map((one) => [
        one.keyword,
        one.prefix_prompt,
      ]),
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw new UsageError(`${data}/Obj_Prompt.json: ${(error as Error).message}`);
  }
}

export const gaokao: Suite = {
  title: 'GAOKAO-Bench (objective)',
  files: "a folder with the objective questions' JSON files, and the benchmark's Obj_Prompt.json if at hand",
  published: 42.2,
  shots: 0,
  maxTokens: 1024,
  average: 'items',
  note: 'points reached of all points, objective questions only',
  async load({ data, shots }) {
    if (shots) throw new UsageError('GAOKAO is asked without examples: --shots 0');
    const names = (await readdir(data).catch(() => [] as string[]))
      .filter((name) => name.endsWith('.json') && name !== 'Obj_Prompt.json')
      .sort();
    if (names.length === 0) throw new UsageError(`${data} has no JSON files`);
    const prompts = await promptsOf(data);
    const items: Item[] = [];
    for (const name of names) {
      const path = join(data, name);
      let file: { keywords?: string; keyword?: string; example?: Example[] };
      try {
        file = Object(JSON.parse(await readFile(path, 'utf8')));
      } catch {
        throw new UsageError(`${path} is no JSON`);
      }
      if (!Array.isArray(file.example)) throw new UsageError(`${path} has no list "example"`);
      const group = file.keywords ?? file.keyword ?? basename(name, '.json');
      const isMulti = /Physics/i.test(group);
      for (const [at, { question, answer, score = 1 }] of file.example.entries()) {
        if (typeof question !== 'string' || !Array.isArray(answer) || !answer.length) {
          throw new UsageError(`${path}: example ${at} has no question or no answer`);
        }
        const letters = /seven/i.test(group) ? 'A到G' : 'A，B，C，D';
        const content = `${prompts.get(group) ?? standard(letters)}${question}`;
        const key: Key = {
          answer: answer.map((one) => [...one.trim().toUpperCase()].sort().join('')),
          score: Number(score),
          isMulti,
        };
        items.push({ id: `${group}/${at}`, group, messages: [{ role: 'user', content }], key });
      }
    }
    return items;
  },
  score: scoreGaokao,
};
