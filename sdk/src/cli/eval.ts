/** `huozi eval SUITE`: benchmarks of the model behind the edge, with the protocol of its published figures. */
import { env } from 'node:process';
import type { ChatCompletionMessageParam } from '../chat-types.ts';
import { Huozi } from '../client.ts';
import { HuoziError } from '../errors.ts';
import { chosenModel, clientOf, clientOptions, numberOf, parse } from './client.ts';
import { Crew, isHopeless } from './crew.ts';
import { judgeMessages, judgePrompts, ratingIn } from './eval/mt-bench.ts';
import { type Answered, headOf, type Judgement, openRecords } from './eval/records.ts';
import { reportOf, reportText } from './eval/report.ts';
import type { Item } from './eval/suite.ts';
import { suites } from './eval/suites.ts';
import { progressBar, say, UsageError } from './terminal.ts';

export const help = `huozi eval SUITE --data PATH [--out RESULTS.jsonl]

Suites and what --data points at, as they are published:
${Object.entries(suites)
  .map(([name, { title, shots, files }]) => `  ${name.padEnd(16)} ${title}, ${shots}-shot: ${files}`)
  .join('\n')}

Greedy; examples are earlier rounds of the chat. Answers are kept as they come: run the same again after a crash, or for
what failed, and only what is missing is asked. HumanEval runs the model's Python in Pyodide (npm install pyodide).

  --out FILE              default: eval-SUITE.jsonl
  --shots N               examples before each question
  --limit N               so many questions, evenly from all of them
  --max-tokens N          longest answer
  --concurrency 4         questions under way at once
  --judge-model NAME      rates MT-Bench's answers, at HUOZI_JUDGE_BASE_URL (any OpenAI-compatible server; default: the
                          same) with the key HUOZI_JUDGE_API_KEY
  -m, --model NAME        --base-url URL          --json   (the report as JSON)`;

const options = {
  ...clientOptions,
  model: { type: 'string', short: 'm' },
  data: { type: 'string' },
  out: { type: 'string' },
  shots: { type: 'string' },
  limit: { type: 'string' },
  'max-tokens': { type: 'string' },
  concurrency: { type: 'string', short: 'c' },
  'judge-model': { type: 'string' },
} as const;

const count = (option: string, value: string, least: number) => {
  const number = numberOf(option, value);
  if (!Number.isInteger(number) || number < least) throw new UsageError(`${option} is at least ${least}`);
  return number;
};

/** So many of them, from all subjects alike. */
function evenly(items: readonly Item[], limit: number): Item[] {
  if (limit >= items.length) return [...items];
  return Array.from({ length: limit }, (_, at) => items[Math.floor((at * items.length) / limit)]!);
}

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, options);
  const [name, ...more] = positionals;
  if (!name || more.length > 0) throw new UsageError('huozi eval SUITE --data PATH');
  if (!Object.hasOwn(suites, name)) {
    throw new UsageError(`There is no suite ${name}; there are ${Object.keys(suites).join(', ')}`);
  }
  const suite = suites[name]!;
  if (!values.data) throw new UsageError(`--data is missing: ${suite.files}`);
  const judgeModel = values['judge-model'];
  if (judgeModel && !suite.judged) throw new UsageError(`${suite.title} needs no judge`);
  const shots = count('--shots', values.shots ?? `${suite.shots}`, 0);
  const maxTokens = count('--max-tokens', values['max-tokens'] ?? `${suite.maxTokens}`, 1);
  const concurrency = count('--concurrency', values.concurrency ?? '4', 1);

  const all = await suite.load({ data: values.data, shots });
  const items = values.limit ? evenly(all, count('--limit', values.limit, 1)) : all;
  // Before the first question: a file that is missing must not show after an hour.
  const prompts = judgeModel ? await judgePrompts(values.data) : undefined;
  const huozi = clientOf(values);
  const { id: model } = await chosenModel(huozi, values.model);
  const judge = judgeModel && judgeClient(huozi);
  const out = values.out ?? `eval-${name}.jsonl`;
  const { file, answered } = await openRecords(out, headOf(name, model, shots, items));

  const crew = new Crew();
  const bar = progressBar(items.length);
  const failures: { id: string; error: unknown }[] = [];
  let finished = 0;

  const complete = (
    client: Huozi,
    named: string,
    messages: ChatCompletionMessageParam[],
    max_tokens: number,
  ) =>
    client.chat.completions.create(
      { model: named, messages, temperature: 0, max_tokens },
      { signal: crew.signal },
    );

  async function ask({ id, messages, followUps = [] }: Item): Promise<Answered> {
    const record: Answered = { id, answers: [], finish: [], completion_tokens: 0 };
    const said = [...messages];
    for (const next of [undefined, ...followUps]) {
      if (next !== undefined) said.push({ role: 'user', content: next });
      const { choices, usage } = await complete(huozi, model, said, maxTokens);
      const answer = choices[0]?.message.content ?? '';
      said.push({ role: 'assistant', content: answer });
      record.answers.push(answer);
      record.finish.push(choices[0]?.finish_reason ?? null);
      record.completion_tokens += usage?.completion_tokens ?? 0;
    }
    return record;
  }

  async function judged(item: Item, record: Answered): Promise<Answered> {
    const judgements: Judgement[] = [];
    for (const turn of [1, 2] as const) {
      if (record.answers.length < turn) break;
      const messages = judgeMessages(prompts!, item, record.answers, turn);
      // As long as FastChat lets a judgement be.
      const { choices } = await complete(judge as Huozi, judgeModel!, messages, 2048);
      const text = choices[0]?.message.content ?? '';
      judgements.push({ turn, rating: ratingIn(text) ?? null, text });
    }
    return { ...record, judge: judgeModel!, judgements };
  }

  async function work(item: Item): Promise<void> {
    const before = answered.get(item.id);
    let record = before ?? (await ask(item));
    const keep = async () => {
      answered.set(item.id, record);
      await file.write(`${JSON.stringify(record)}\n`);
    };
    if (!before && (suite.judged || suite.score)) await keep();
    if (suite.score && !record.score) {
      record = { ...record, score: await suite.score(item, record.answers) };
      await keep();
    }
    if (judge && record.judge !== judgeModel) {
      record = await judged(item, record);
      await keep();
    }
  }

  const queue = items.values();
  async function worker(): Promise<void> {
    for (const item of queue) {
      if (crew.signal.aborted) return;
      try {
        await work(item);
        finished++;
      } catch (error) {
        if (crew.signal.aborted) return;
        // Without Pyodide there is no going on, either.
        if (error instanceof UsageError || isHopeless(error)) return crew.giveUp(error);
        failures.push({ id: item.id, error });
      }
      bar.at(finished + failures.length, failures.length ? `${failures.length} failed` : '');
    }
  }

  await crew.run(concurrency, worker, file, bar);

  const asked = { name, suite, model, shots, judge: judgeModel ?? null };
  const report = reportOf(asked, items, answered, items.length === all.length);
  if (values.json) say(JSON.stringify({ ...report, failed: failures.length }));
  else {
    say(reportText(report, suite));
    for (const { id, error } of failures.slice(0, 5)) {
      const why = HuoziError.isInstance(error)
        ? `${error.status ?? error.type}: ${error.message}`
        : `${error}`;
      say(`${id} failed: ${why}`);
    }
    if (failures.length > 0) say(`${failures.length} failed. Run the same command again for them.`);
  }
  return crew.signal.aborted ? 130 : failures.length > 0 ? 1 : 0;
}

function judgeClient(huozi: Huozi): Huozi {
  const baseURL = env.HUOZI_JUDGE_BASE_URL;
  if (!baseURL) return huozi;
  const apiKey = env.HUOZI_JUDGE_API_KEY;
  if (!apiKey) throw new UsageError('HUOZI_JUDGE_BASE_URL is set, HUOZI_JUDGE_API_KEY is not');
  return new Huozi({ baseURL, apiKey });
}
