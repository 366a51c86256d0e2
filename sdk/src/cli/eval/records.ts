/** What an evaluation has so far, in a file of JSON lines: written as it comes, found again after a crash. */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, rename } from 'node:fs/promises';
import { UsageError } from '../terminal.ts';
import type { Item, Score } from './suite.ts';

/** The first line: answers to other questions, or of another model, are not mixed with these. */
export interface Head {
  suite: string;
  model: string;
  shots: number;
  /** Of all questions as they are asked. */
  questions: string;
}

export interface Judgement {
  turn: 1 | 2;
  /** Null when the judge gave none that could be read. */
  rating: number | null;
  text: string;
}

/** One question's answers; later lines of the same id replace earlier ones. */
export interface Answered {
  id: string;
  answers: string[];
  finish: (string | null)[];
  completion_tokens: number;
  score?: Score;
  judge?: string;
  judgements?: Judgement[];
}

export function headOf(suite: string, model: string, shots: number, items: readonly Item[]): Head {
  const hash = createHash('sha256');
  for (const { id, messages, followUps } of items) hash.update(JSON.stringify([id, messages, followUps]));
  return { suite, model, shots, questions: hash.digest('hex') };
}

/** Throws UsageError when the file holds another evaluation. */
export async function openRecords(
  path: string,
  head: Head,
): Promise<{ file: FileHandle; answered: Map<string, Answered> }> {
  const answered = new Map<string, Answered>();
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const [first, ...rest] = text.split('\n').filter(Boolean);
  if (first !== undefined) {
    const found = parsed<Head>(first);
    for (const name of ['suite', 'model', 'shots', 'questions'] as const) {
      if (found?.[name] !== head[name]) {
        throw new UsageError(
          `${path} holds another evaluation (its ${name} differ): name another file with --out`,
        );
      }
    }
  }
  for (const line of rest) {
    const one = parsed<Answered>(line);
    // A line that a crash tore is asked for again.
    if (one && Array.isArray(one.answers)) answered.set(one.id, one);
  }
  const kept = `${path}.partial`;
  const file = await open(kept, 'w');
  await file.write(`${[head, ...answered.values()].map((one) => JSON.stringify(one)).join('\n')}\n`);
  await file.sync();
  await rename(kept, path);
  return { file, answered };
}

function parsed<T>(line: string): T | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
