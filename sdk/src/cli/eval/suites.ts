/** The suites by the names that `huozi eval` knows. */
import { ceval, cmmluSuite, hellaswag, mmluSuite } from './exams.ts';
import { gaokao } from './gaokao.ts';
import { gsm8k } from './gsm8k.ts';
import { humaneval } from './humaneval.ts';
import { mtBench, mtBenchSafety, mtBenchZh } from './mt-bench.ts';
import type { Suite } from './suite.ts';

export const suites: Readonly<Record<string, Suite>> = {
  ceval,
  cmmlu: cmmluSuite,
  mmlu: mmluSuite,
  gsm8k,
  hellaswag,
  humaneval,
  gaokao,
  'mt-bench': mtBench,
  'mt-bench-zh': mtBenchZh,
  'mt-bench-safety': mtBenchSafety,
};
