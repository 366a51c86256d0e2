/**
 * Streams that their clients cut 1 to 5 times and resume, against the same answers uncut. Run by the test with few; by
 * hand:
 *
 *     npx tsx --conditions=huozi-source test/streams/cuts.ts [streams]
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startStack } from '../stack.ts';
import { begin, goOn, type Reader, read, type Told, textOf } from './read.ts';

export interface Outcome {
  streams: number;
  cuts: number;
  /** Cuts while the answer was still being made. */
  liveCuts: number;
  /** Every event once and in order, and the text of the uncut answer. */
  exact: number;
  failures: string[];
}

const heldOut = fileURLToPath(new URL('../../gpu-backend/models/huozi-tiny/heldout.jsonl', import.meta.url));

function questions(count: number): string[] {
  const lines = readFileSync(heldOut, 'utf8').trim().split('\n');
  return Array.from({ length: count }, (_, at) => lines[(at * 7) % lines.length]!).map((line) => {
    const { messages } = JSON.parse(line) as { messages: { role: string; content: string }[] };
    return messages.find(({ role }) => role === 'user' || role === '用户')!.content;
  });
}

async function inParallel(count: number, width: number, work: (index: number) => Promise<void>) {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** The text, and how many events it took. */
async function uncut(to: Reader, body: object): Promise<[string, number]> {
  const response = await fetch(`${to.baseURL}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${to.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'huozi', stream: true, ...body }),
  });
  const events = (await response.text()).split(/(?<=\n\n)/).filter((event) => event.includes('data: '));
  return [textOf(events), events.length];
}

/** @param onCut each time, with the stream's path */
async function cutAndResume(
  to: Reader,
  body: object,
  places: number[],
  told: Told,
  onCut: (stream: string) => void,
): Promise<void> {
  let stream: string | undefined;
  for (const upTo of [...places, Number.POSITIVE_INFINITY]) {
    const abort = new AbortController();
    let response: Response;
    if (stream === undefined) [stream, response] = await begin(to, body, abort.signal);
    else response = await goOn(to, stream, told.events.length, abort.signal);
    await read(response, told, upTo);
    if (told.done) break;
    if (upTo === Number.POSITIVE_INFINITY) throw new Error('the stream ended without [DONE]');
    onCut(stream);
    abort.abort();
  }
  // Whoever reads it all at once must get the same bytes.
  const again: Told = { events: [], done: false };
  await read(await goOn(to, stream!, 0), again);
  if (again.events.join('') !== told.events.join('')) throw new Error('told otherwise the second time');
}

export async function cutStreams(count: number, random: () => number = Math.random): Promise<Outcome> {
  const stack = await startStack();
  try {
    const outcome: Outcome = { streams: count, cuts: 0, liveCuts: 0, exact: 0, failures: [] };
    const asked = questions(count);
    await inParallel(count, 8, async (index) => {
      const body = {
        messages: [{ role: 'user', content: asked[index]! }],
        ...(index % 2 === 0 ? { temperature: 0 } : { seed: index }),
        max_tokens: 96,
      };
      const [text, events] = await uncut(stack, body);
      const places = Array.from({ length: 1 + Math.floor(random() * 5) }, () =>
        Math.floor(random() * events),
      );
      places.sort((a, b) => a - b);
      const told: Told = { events: [], done: false };
      try {
        await cutAndResume(stack, body, places, told, (stream) => {
          outcome.cuts++;
          const id = stream.split('/').at(-1)!;
          // The worker prints one line when an answer has ended.
          if (!stack.edgeLog.some((line) => line.includes(id))) outcome.liveCuts++;
        });
        const got = textOf(told.events);
        if (got === text) outcome.exact++;
        else outcome.failures.push(`${JSON.stringify(text)} came as ${JSON.stringify(got)}`);
      } catch (error) {
        outcome.failures.push(`${(error as Error).message} (cuts at ${places})`);
      }
    });
    return outcome;
  } finally {
    await stack.stop();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const outcome = await cutStreams(Number(process.argv[2] ?? 500));
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
  if (outcome.exact < outcome.streams) process.exitCode = 1;
}
