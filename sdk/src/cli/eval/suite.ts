/** What a suite is: questions, how each is asked, and what its answers are worth. */
import type { ChatCompletionMessageParam } from '../../chat-types.ts';

export interface Item {
  /** Unique within its suite, and the same in every run: what is done already is found by it. */
  id: string;
  /** Subject or category, for the report. */
  group: string;
  /** Few-shot examples as earlier rounds, then the question. */
  messages: ChatCompletionMessageParam[];
  /** Further user turns, each asked once the one before is answered. */
  followUps?: readonly string[];
  /** What stands in the data file about the right answer, in the suite's own form. */
  key: unknown;
}

export interface Score {
  /** Points reached, of `of`. */
  points: number;
  of: number;
  /** What was read out of the answer; null when nothing could be. */
  read: string | null;
}

export interface LoadOptions {
  /** Folder or file of the suite's data, in its published form. */
  data: string;
  /** Examples before each question. */
  shots: number;
}

export interface Suite {
  title: string;
  /** What `--data` points at. */
  files: string;
  /** Huozi 3.5's own figure, in the unit of the report: percent, or points of ten for a judged suite. */
  published: number | undefined;
  shots: number;
  /** Longest answer, tokens. */
  maxTokens: number;
  /** How groups make the whole: every item alike, or every group alike. */
  average: 'items' | 'groups';
  load(options: LoadOptions): Promise<Item[]>;
  /** A judge tells what the answers are worth; else `score` does. */
  judged?: true;
  score?(item: Item, answers: readonly string[]): Score | Promise<Score>;
  /** What makes its figure differ from published ones, for the report. */
  note?: string;
}
