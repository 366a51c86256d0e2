/** MT-Bench and its Chinese kin: two-turn questions, rated from 1 to 10 by a judge with FastChat's prompts. */

import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ChatCompletionMessageParam } from '../../chat-types.ts';
import { UsageError } from '../terminal.ts';
import { jsonLines } from './json-lines.ts';
import type { Item, Suite } from './suite.ts';

interface Question {
  question_id: number;
  category: string;
  turns: string[];
  reference?: string[];
}

interface JudgePrompt {
  name: string;
  type: string;
  system_prompt: string;
  prompt_template: string;
}

/** What the data file says of a question beside its turns. */
interface Key {
  reference: string[] | undefined;
}

/** Questions of these are rated beside a reference, where there is one (FastChat's NEED_REF_CATS). */
const needReference = /(?:^|_)(?:math|reasoning|coding)$/;

/** FastChat's own pattern, then the one it falls back to. */
const ratings = [/\[\[(\d+\.?\d*)\]\]/, /\[(\d+\.?\d*)\]/];

/** @returns 1 to 10, or undefined when the judge gave none */
export function ratingIn(judgement: string): number | undefined {
  for (const pattern of ratings) {
    const found = pattern.exec(judgement.normalize('NFKC'));
    if (found) {
      const rating = Number(found[1]);
      return rating >= 1 && rating <= 10 ? rating : undefined;
    }
  }
  return undefined;
}

export async function judgePrompts(path: string): Promise<Map<string, JudgePrompt>> {
  const folder = (await stat(path).catch(() => undefined))?.isDirectory() ? path : dirname(path);
  const prompts = await jsonLines<JudgePrompt>(join(folder, 'judge_prompts.jsonl'), [], {
    name: 'string',
    system_prompt: 'string',
    prompt_template: 'string',
  });
  return new Map(prompts.map((prompt) => [prompt.name, prompt]));
}

/**
 * What the judge is asked about one turn's answer. Chinese categories (`zh_…`) get the Chinese prompts where the file
 * has them.
 */
export function judgeMessages(
  prompts: ReadonlyMap<string, JudgePrompt>,
  item: Item,
  answers: readonly string[],
  turn: 1 | 2,
): ChatCompletionMessageParam[] {
  const { reference } = item.key as Key;
  const isMath = needReference.test(item.group) && reference !== undefined;
  const name = `single-${isMath ? 'math-' : ''}v1${turn === 2 ? '-multi-turn' : ''}`;
  const prompt = (item.group.startsWith('zh_') && prompts.get(`zh_${name}`)) || prompts.get(name);
  if (!prompt) throw new UsageError(`judge_prompts.jsonl has no ${name}`);
  const questions = [item.messages[0]!.content as string, ...(item.followUps ?? [])];
  const values: Record<string, string | undefined> = {
    question: questions[0],
    answer: answers[0],
    question_1: questions[0],
    question_2: questions[1],
    answer_1: answers[0],
    answer_2: answers[1],
    ref_answer_1: reference?.[0],
    ref_answer_2: reference?.[1],
  };
  // In one pass: what an answer contains is never filled in again.
  const content = prompt.prompt_template.replace(/\{(\w+)\}/g, (whole, slot) =>
    Object.hasOwn(values, slot) ? (values[slot] ?? '') : whole,
  );
  return [
    { role: 'system', content: prompt.system_prompt },
    { role: 'user', content },
  ];
}

const bench = (title: string, published: number): Suite => ({
  title,
  files: 'question.jsonl (and judge_prompts.jsonl beside it) as FastChat has them',
  published,
  shots: 0,
  maxTokens: 1024,
  average: 'items',
  judged: true,
  note: 'greedy; FastChat samples some categories at 0.7',
  async load({ data, shots }) {
    if (shots) throw new UsageError('MT-Bench is asked without examples: --shots 0');
    const questions = await jsonLines<Question>(data, 'question.jsonl', {
      category: 'string',
      turns: 'object',
    });
    return questions.map(({ question_id, category, turns, reference }) => ({
      id: `${question_id}`,
      group: category,
      messages: [{ role: 'user', content: turns[0]! }],
      followUps: turns.slice(1),
      key: { reference: reference?.length ? reference : undefined } satisfies Key,
    }));
  },
});

export const mtBench = bench('MT-Bench', 7.28);
export const mtBenchZh = bench('MT-Bench-zh', 6.64);
export const mtBenchSafety = bench('MT-Bench-safety', 7.85);
