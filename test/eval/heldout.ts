/** Scores huozi-tiny on questions that its training never saw: exact match of the greedy answer. */
import { readFileSync } from 'node:fs';
import { Huozi } from 'huozi';
import type { GenerateRequest, Segment } from 'huozi-gpu-backend/protocol';
import type { Stack } from '../stack.ts';

export interface HeldOutItem {
  task: string;
  messages: { role: 'system' | 'user' | 'assistant'; content: string }[];
  answer: string;
}

export interface TaskScore {
  right: number;
  asked: number;
  /** The first few wrong answers, for a person to look at. */
  wrong: { question: string; expected: string; got: string }[];
}

const file = new URL('../../gpu-backend/models/huozi-tiny/heldout.jsonl', import.meta.url);

export function heldOutItems(): HeldOutItem[] {
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as HeldOutItem);
}

type Answer = (item: HeldOutItem) => Promise<string>;

/** Through SDK, edge, node and engine: the way of a user. */
export function throughTheEdge(stack: Stack): Answer {
  const huozi = new Huozi({ baseURL: stack.baseURL, apiKey: stack.apiKey });
  return async (item) => {
    const completion = await huozi.chat.completions.create({
      model: 'huozi',
      messages: item.messages,
      temperature: 0,
      max_tokens: 96,
    });
    return completion.choices[0]!.message.content ?? '';
  };
}

/**
 * The same questions with English role names where the template has 系统, 用户 and 助手. The edge cannot be
 * brought to write such a prompt, so it goes to the node itself.
 */
export function withEnglishRoleNames(stack: Stack): Answer {
  let count = 0;
  return async (item) => {
    const turns = item.messages.flatMap(({ role, content }): Segment[] => [
      { control: 'begin' },
      { text: `${role}\n${content}` },
      { control: 'end' },
      { text: '\n' },
    ]);
    const body: GenerateRequest = {
      prompt: [{ control: 'bos' }, ...turns, { control: 'begin' }, { text: 'assistant\n' }],
      sampling: {
        temperature: 0,
        top_p: 1,
        top_k: 0,
        min_p: 0,
        repetition_penalty: 1,
        presence_penalty: 0,
        frequency_penalty: 0,
        seed: 0,
      },
      max_tokens: 96,
      stop: [],
      stop_token_ids: [],
      ignore_eos: false,
      events: {
        object: 'chat.completion',
        id: `broken-${count++}`,
        model: 'huozi',
        created: 0,
        role: 'assistant',
        stream: false,
        include_usage: false,
      },
    };
    const response = await fetch(`${stack.node.url}/v1/generate`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.nodeToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const completion = (await response.json()) as { choices: { message: { content: string } }[] };
    return completion.choices[0]!.message.content;
  };
}

/** Asks all items, `concurrency` at a time. Scores by task, in the order of the file. */
export async function score(
  items: readonly HeldOutItem[],
  answer: Answer,
  concurrency = 8,
): Promise<Map<string, TaskScore>> {
  const scores = new Map<string, TaskScore>();
  for (const { task } of items) {
    if (!scores.has(task)) scores.set(task, { right: 0, asked: 0, wrong: [] });
  }
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) {
      const got = await answer(item);
      const task = scores.get(item.task)!;
      task.asked++;
      if (got === item.answer) task.right++;
      else if (task.wrong.length < 3) {
        task.wrong.push({ question: item.messages.at(-1)!.content, expected: item.answer, got });
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return scores;
}

export function share({ right, asked }: Pick<TaskScore, 'right' | 'asked'>): number {
  return asked === 0 ? 0 : right / asked;
}

export function total(scores: Map<string, TaskScore>): number {
  let right = 0;
  let asked = 0;
  for (const task of scores.values()) {
    right += task.right;
    asked += task.asked;
  }
  return share({ right, asked });
}
