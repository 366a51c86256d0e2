/** HumanEval: functions to complete, judged by running their tests; one answer each, so that it is pass@1. */

import { UsageError } from '../terminal.ts';
import { jsonLines } from './json-lines.ts';
import { runPython } from './python.ts';
import type { Suite } from './suite.ts';

interface Problem {
  task_id: string;
  prompt: string;
  entry_point: string;
  test: string;
}

/** The benchmark's own limit is 3 s of native Python; Python in WebAssembly takes a few times as long. */
const timeoutMs = 15_000;

/** The first block of code that defines the function, else the first block, else the whole answer. */
export function codeIn(answer: string, entryPoint: string): string {
  const blocks = [...answer.matchAll(/```[a-zA-Z0-9]*[^\S\n]*\n([\s\S]*?)(?:```|$)/g)].map(
    ([, code]) => code!,
  );
  return blocks.find((code) => code.includes(`def ${entryPoint}(`)) ?? blocks[0] ?? answer;
}

/** A whole function stands for itself, after what the prompt imports and defines; a bare body continues the prompt. */
export function programOf({ prompt, entry_point, test }: Problem, answer: string): string {
  const code = codeIn(answer, entry_point);
  const before = prompt.slice(0, Math.max(0, prompt.lastIndexOf(`def ${entry_point}(`)));
  const whole = code.includes(`def ${entry_point}(`) ? `${before}\n${code}` : `${prompt}${code}`;
  return `${whole}\n\n${test}\n\ncheck(${entry_point})\n`;
}

export const humaneval: Suite = {
  title: 'HumanEval',
  files: 'HumanEval.jsonl, or .gz',
  published: 51.22,
  shots: 0,
  maxTokens: 1024,
  average: 'items',
  note: 'pass@1, greedy',
  async load({ data, shots }) {
    if (shots) throw new UsageError('HumanEval is asked without examples: --shots 0');
    const problems = await jsonLines<Problem>(data, 'HumanEval.jsonl', {
      task_id: 'string',
      prompt: 'string',
      entry_point: 'string',
      test: 'string',
    });
    return problems.map((problem) => ({
      id: problem.task_id,
      group: 'all',
      messages: [
        {
          role: 'user',
          content: `Complete the following Python function. Answer with the whole function in one code block.\n\n\`\`\`python\n${problem.prompt.trimEnd()}\n\`\`\``,
        },
      ],
      key: problem,
    }));
  },
  async score({ key }, [answer = '']) {
    const { passed, why } = await runPython(programOf(key as Problem, answer), timeoutMs);
    return { points: passed ? 1 : 0, of: 1, read: passed ? 'passed' : (why ?? null) };
  },
};
