/**
 * Answers while nodes are killed, against the same answers undisturbed. Run by the test with few answers; by hand:
 *
 *     npx tsx --conditions=huozi-source test/fleet/migration.ts [answers] [SIGKILL|SIGSTOP]
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ToldToken } from '../peers/partings.ts';
import { startFleet, type TestFleet } from './fleet.ts';

export interface Told {
  text: string;
  /** Of a request with `logprobs`. */
  tokens: ToldToken[];
  finish: string | null;
  usage: { prompt_tokens: number; completion_tokens: number } | undefined;
  error: string | undefined;
  done: boolean;
  migrations: number;
}

export interface Outcome {
  answers: number;
  /** Complete: a finish reason, usage, `[DONE]`, no error. */
  complete: number;
  /** Byte-identical to the undisturbed run. */
  identical: number;
  migrations: number;
  kills: number;
  failures: string[];
  differing: [string, string][];
}

export const heldOut = fileURLToPath(
  new URL('../../gpu-backend/models/huozi-tiny/heldout.jsonl', import.meta.url),
);

export function prompts(count: number): string[] {
  const lines = readFileSync(heldOut, 'utf8').trim().split('\n');
  const step = Math.max(1, Math.floor(lines.length / count));
  return Array.from({ length: count }, (_, i) => lines[(i * step) % lines.length]!).map((line) => {
    const { messages } = JSON.parse(line) as { messages: { role: string; content: string }[] };
    return messages.find(({ role }) => role === 'user' || role === '用户')!.content;
  });
}

export async function ask(
  fleet: Pick<TestFleet, 'baseURL' | 'apiKey'>,
  content: string,
  fields: object,
  onFirstText: () => void,
): Promise<Told> {
  const response = await fetch(`${fleet.baseURL}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${fleet.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'huozi',
      messages: [{ role: 'user', content }],
      stream: true,
      stream_options: { include_usage: true },
      ...fields,
    }),
  });
  let body = '';
  const decoder = new TextDecoder();
  for await (const bytes of response.body!) {
    if (body === '') onFirstText();
    body += decoder.decode(bytes, { stream: true });
  }
  const told: Told = {
    text: '',
    tokens: [],
    finish: null,
    usage: undefined,
    error: response.ok ? undefined : body,
    done: body.endsWith('data: [DONE]\n\n'),
    migrations: body.split(': migrated\n\n').length - 1,
  };
  for (const [, json] of body.matchAll(/^data: (\{.*)$/gm)) {
    const chunk = JSON.parse(json!) as {
      choices?: {
        delta: { content?: string };
        logprobs?: { content: ToldToken[] | null } | null;
        finish_reason: string | null;
      }[];
      usage?: Told['usage'];
      error?: { code: string };
    };
    told.error ??= chunk.error?.code;
    told.text += chunk.choices?.[0]?.delta.content ?? '';
    told.tokens.push(...(chunk.choices?.[0]?.logprobs?.content ?? []));
    told.finish = chunk.choices?.[0]?.finish_reason ?? told.finish;
    told.usage = chunk.usage ?? told.usage;
  }
  return told;
}

export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<void>,
) {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      await work(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}

export function isComplete(told: Told): boolean {
  return told.error === undefined && told.done && told.finish !== null && told.usage !== undefined;
}

export interface Disturbance {
  signal: 'SIGKILL' | 'SIGSTOP' | 'SIGTERM';
  /** Each time that so many answers have begun, a node is taken down amid them and another one started. */
  every: number;
  /** Answers at the same time. */
  width?: number;
}

/** @param fields of each request: how to sample */
export async function migrate(
  count: number,
  fields: object,
  { signal, every, width = 8 }: Disturbance,
): Promise<Outcome> {
  const fleet = await startFleet(4);
  try {
    const questions = prompts(count);
    const calm: Told[] = [];
    await inParallel(questions, width, async (question, index) => {
      calm[index] = await ask(fleet, question, fields, () => undefined);
    });
    let begun = 0;
    let kills = 0;
    const replaced: Promise<unknown>[] = [];
    const onFirstText = () => {
      // Replacements may take longer to load than others to answer.
      if (++begun % every !== 0 || fleet.nodes.length < 3) return;
      fleet.kill(fleet.nodes[kills++ % fleet.nodes.length]!, signal);
      replaced.push(fleet.add());
    };
    const disturbed: Told[] = [];
    await inParallel(questions, width, async (question, index) => {
      disturbed[index] = await ask(fleet, question, fields, onFirstText);
    });
    await Promise.all(replaced);
    return {
      answers: count,
      complete: disturbed.filter(isComplete).length,
      identical: disturbed.filter((told, index) => told.text === calm[index]!.text).length,
      migrations: disturbed.reduce((sum, { migrations }) => sum + migrations, 0),
      kills,
      failures: disturbed.filter((told) => !isComplete(told)).map((told) => JSON.stringify(told)),
      differing: disturbed.flatMap((told, index): [string, string][] =>
        told.text === calm[index]!.text ? [] : [[calm[index]!.text, told.text]],
      ),
    };
  } finally {
    await fleet.stop();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const count = Number(process.argv[2] ?? 200);
  const signal = process.argv[3] === 'SIGSTOP' ? 'SIGSTOP' : 'SIGKILL';
  for (const [name, fields] of Object.entries({
    greedy: { temperature: 0 },
    seeded: { temperature: 0.8, top_p: 0.9, seed: 7 },
    // Far beyond what it was trained on the model wavers between near-ties: the rate of float noise.
    'greedy, 160 tokens past the end': { temperature: 0, max_tokens: 160, ignore_eos: true },
  })) {
    const { differing, ...outcome } = await migrate(count, fields, { signal, every: 12 });
    process.stdout.write(`${name}, ${signal}: ${JSON.stringify(outcome)}\n`);
    for (const [calm, disturbed] of differing) process.stdout.write(`  ${calm}\n  ${disturbed}\n`);
  }
}
