/** GSM8K: sums in words; the answer's last line is `#### 72`. */

import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UsageError } from '../terminal.ts';
import { jsonLines } from './json-lines.ts';
import type { Suite } from './suite.ts';

interface Line {
  question: string;
  answer: string;
}

/** The calculator's notes (`<<48/2=24>>`) are for training, not for reading. */
const readable = (answer: string) => answer.replace(/<<[^>]*>>/g, '');

const number = /-?\$?\d[\d,]*(?:\.\d+)?/g;

/** The number after `####`, else the last one in the answer. */
export function numberIn(answer: string): number | undefined {
  const text = answer.normalize('NFKC');
  const marked = text.lastIndexOf('####');
  const found = marked >= 0 ? text.slice(marked).match(number)?.[0] : text.match(number)?.at(-1);
  return found === undefined ? undefined : Number(found.replace(/[$,]/g, ''));
}

export const gsm8k: Suite = {
  title: 'GSM8K',
  files: 'a folder with test.jsonl, and train.jsonl for the examples',
  published: 66.19,
  shots: 4,
  maxTokens: 512,
  average: 'items',
  async load({ data, shots }) {
    const needed = { question: 'string', answer: 'string' } as const;
    const questions = await jsonLines<Line>(data, 'test.jsonl', needed);
    const folder = (await stat(data).catch(() => undefined))?.isDirectory() ? data : dirname(data);
    const examples = shots
      ? (await jsonLines<Line>(join(folder, 'train.jsonl'), [], needed)).slice(0, shots)
      : [];
    if (examples.length < shots) throw new UsageError(`train.jsonl has fewer than ${shots} lines`);
    const before = examples.flatMap(({ question, answer }) => [
      { role: 'user' as const, content: question },
      { role: 'assistant' as const, content: readable(answer) },
    ]);
    return questions.map(({ question, answer }, at) => {
      const key = numberIn(answer);
      if (key === undefined) throw new UsageError(`${data}: line ${at + 1}: no number after ####`);
      return { id: `${at}`, group: 'all', messages: [...before, { role: 'user', content: question }], key };
    });
  },
  score({ key }, [answer = '']) {
    const read = numberIn(answer);
    return { points: read === key ? 1 : 0, of: 1, read: read === undefined ? null : `${read}` };
  },
};
