/** C-Eval, CMMLU and MMLU: CSV files by subject, examples in `dev/`. HellaSwag: JSON lines. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../terminal.ts';
import { type ChoiceQuestion, choiceRounds, scoreChoice } from './choice.ts';
import { csvRows } from './csv.ts';
import { jsonLines } from './json-lines.ts';
import type { Item, LoadOptions, Suite } from './suite.ts';

interface Exam {
  /** Folders that may hold the questions, the first that exists is taken. */
  questions: readonly string[];
  /** What stands after the subject in a file's name. */
  ending(folder: string): string;
  about(subject: string): string;
  ask: string;
  read(rows: string[][], path: string): ChoiceQuestion[];
}

/** By the names in the first row, in whatever order and case. */
function named(rows: string[][], path: string): ChoiceQuestion[] {
  const [heads = [], ...rest] = rows;
  const column = (name: string) => heads.findIndex((head) => head.trim().toLowerCase() === name);
  const [question, a, b, c, d, answer] = ['question', 'a', 'b', 'c', 'd', 'answer'].map(column) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (Math.min(question, a, b, c, d) < 0) {
    throw new UsageError(`${path}: its first row names no question, A, B, C, D`);
  }
  return rest.map((row, at) => {
    if (row.length < heads.length) throw new UsageError(`${path}: row ${at + 2} is short`);
    return {
      question: row[question]!,
      options: [row[a]!, row[b]!, row[c]!, row[d]!],
      letter: answer < 0 ? '' : row[answer]!.trim().toUpperCase(),
    };
  });
}

/** MMLU has no first row of names. */
function unnamed(rows: string[][], path: string): ChoiceQuestion[] {
  return rows.map((row, at) => {
    if (row.length !== 6) throw new UsageError(`${path}: row ${at + 1} has ${row.length} cells, not 6`);
    const [question, a, b, c, d, letter] = row as [string, string, string, string, string, string];
    return { question, options: [a, b, c, d], letter: letter.trim().toUpperCase() };
  });
}

async function loadExam(exam: Exam, { data, shots }: LoadOptions): Promise<Item[]> {
  const folders = await readdir(data).catch(() => [] as string[]);
  const folder = exam.questions.find((name) => folders.includes(name));
  if (!folder) throw new UsageError(`${data} has no folder ${exam.questions.join(' or ')}`);
  const questionsOf = async (path: string) => exam.read(csvRows(await readFile(path, 'utf8')), path);
  const ending = exam.ending(folder);
  const subjects = (await readdir(join(data, folder)))
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length))
    .sort();
  if (subjects.length === 0) throw new UsageError(`${join(data, folder)} has no file …${ending}`);
  const items: Item[] = [];
  for (const subject of subjects) {
    const before = shots
      ? (await questionsOf(join(data, 'dev', subject + exam.ending('dev')))).slice(0, shots)
      : [];
    if (before.length < shots) {
      throw new UsageError(`dev/${subject}${exam.ending('dev')} has ${before.length} examples, not ${shots}`);
    }
    const path = join(data, folder, subject + ending);
    for (const [at, question] of (await questionsOf(path)).entries()) {
      if (!/^[A-D]$/.test(question.letter)) {
        throw new UsageError(
          `${path}: question ${at + 1} has no answer (C-Eval keeps those of test/ secret: take val/)`,
        );
      }
      const about = exam.about(subject.replaceAll('_', ' '));
      items.push({
        id: `${subject}/${at}`,
        group: subject,
        messages: choiceRounds(about, exam.ask, before, question),
        key: { letter: question.letter, options: 4 },
      });
    }
  }
  return items;
}

const cEval: Exam = {
  questions: ['val'],
  ending: (folder) => `_${folder}.csv`,
  about: (subject) => `以下是中国关于${subject}考试的单项选择题，请选出其中的正确答案。`,
  ask: '答案：',
  read: named,
};

const cmmlu: Exam = {
  questions: ['test'],
  ending: () => '.csv',
  about: (subject) => `以下是关于${subject}的单项选择题，请直接给出正确答案的选项。`,
  ask: '答案是：',
  read: named,
};

const mmlu: Exam = {
  questions: ['test', 'val'],
  ending: (folder) => `_${folder}.csv`,
  about: (subject) => `The following are multiple choice questions (with answers) about ${subject}.`,
  ask: 'Answer:',
  read: unnamed,
};

const exam = (title: string, of: Exam, published: number, average: Suite['average']): Suite => ({
  title,
  files: `a folder with dev/ and ${of.questions.join('/ or ')}/, a CSV file for each subject`,
  published,
  shots: 5,
  maxTokens: 64,
  average,
  load: (options) => loadExam(of, options),
  score: scoreChoice,
});

export const ceval: Suite = {
  ...exam('C-Eval', cEval, 54.82, 'groups'),
  note: 'val/, as the answers of test/ are not published',
};
export const cmmluSuite = exam('CMMLU', cmmlu, 52.5, 'groups');
export const mmluSuite = exam('MMLU', mmlu, 70.51, 'items');

interface HellaSwagLine {
  ind: number;
  activity_label: string;
  ctx: string;
  endings: string[];
  label?: number | string;
}

export const hellaswag: Suite = {
  title: 'HellaSwag',
  files: 'hellaswag_val.jsonl',
  published: 77.83,
  shots: 0,
  maxTokens: 64,
  average: 'items',
  note: 'asked as a question with four endings; published figures of other models often compare likelihoods',
  async load({ data, shots }) {
    if (shots) throw new UsageError('HellaSwag is asked without examples: --shots 0');
    const lines = await jsonLines<HellaSwagLine>(data, 'hellaswag_val.jsonl', {
      ctx: 'string',
      endings: 'object',
    });
    return lines.map((line, at) => {
      const letter = 'ABCD'[Number(line.label ?? -1)];
      if (!letter || line.endings.length !== 4) {
        throw new UsageError(`${data}: line ${at + 1} has no label from 0 to 3 or not four endings`);
      }
      const question = { question: line.ctx, options: line.endings, letter };
      const about = 'Choose the ending that continues the text most plausibly. Answer with its letter.';
      return {
        id: `${line.ind ?? at}`,
        group: line.activity_label ?? 'all',
        messages: choiceRounds(about, 'Answer:', [], question),
        key: { letter, options: 4 },
      };
    });
  },
  score: scoreChoice,
};
