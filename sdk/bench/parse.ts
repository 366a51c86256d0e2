/**
 * `npm run bench -w huozi`: events/s from bytes to chunks in a `for await`, beside openai's client in the same run.
 *
 * No network: both read the same bytes, one event a read as a live stream brings them, and in pieces of 16 KiB as
 * a fast one does. Medians of interleaved rounds; BENCH_ROUNDS takes another number of them than 15.
 */
import OpenAI from 'openai';
import { record } from '../../test/bench/results.ts';
import { Huozi } from '../src/index.ts';
import { chunk, first, last } from '../test/answers.ts';

const count = 10_000;
const rounds = Number(process.env.BENCH_ROUNDS ?? 15);

const encoder = new TextEncoder();
const events = [
  first,
  ...Array.from({ length: count - 2 }, (_, at) => chunk({ content: '春眠不觉晓'[at % 5]! })),
  last,
]
  .map((one) => `data: ${JSON.stringify(one)}\n\n`)
  .concat('data: [DONE]\n\n')
  .map((event) => encoder.encode(event));

function inPieces(size: number): Uint8Array[] {
  const whole = new Uint8Array(events.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const event of events) {
    whole.set(event, at);
    at += event.length;
  }
  return Array.from({ length: Math.ceil(whole.length / size) }, (_, i) =>
    whole.subarray(i * size, (i + 1) * size),
  );
}

function serving(pieces: readonly Uint8Array[]): typeof fetch {
  return async () => {
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const piece = pieces[at++];
        if (piece) controller.enqueue(piece);
        else controller.close();
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };
}

const body = {
  model: 'huozi',
  messages: [{ role: 'user' as const, content: '你好' }],
  stream: true as const,
};
const options = { baseURL: 'http://edge.test/v1', apiKey: 'k' };

async function ours(fetch: typeof globalThis.fetch): Promise<number> {
  let chunks = 0;
  for await (const _ of await new Huozi({ ...options, fetch }).chat.completions.create(body)) chunks++;
  return chunks;
}

async function theirs(fetch: typeof globalThis.fetch): Promise<number> {
  let chunks = 0;
  for await (const _ of await new OpenAI({ ...options, fetch }).chat.completions.create(body)) chunks++;
  return chunks;
}

/** Events a second of CPU time, which other load on the machine does not change. */
async function speed(read: typeof ours, pieces: readonly Uint8Array[]): Promise<number> {
  const from = process.cpuUsage();
  const chunks = await read(serving(pieces));
  if (chunks !== count) throw new Error(`${chunks} of ${count} chunks came`);
  const { user, system } = process.cpuUsage(from);
  return count / ((user + system) / 1e6);
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

for (const [metric, pieces] of [
  ['one event a read', events],
  ['16 KiB a read', inPieces(16_384)],
] as const) {
  const speeds = { ours: [] as number[], theirs: [] as number[] };
  // The first rounds are the compiler's.
  for (let round = -3; round < rounds; round++) {
    const mine = await speed(ours, pieces);
    const other = await speed(theirs, pieces);
    if (round < 0) continue;
    speeds.ours.push(mine);
    speeds.theirs.push(other);
  }
  record({
    bench: 'sdk parse',
    metric,
    ours: median(speeds.ours),
    peer: median(speeds.theirs),
    against: 'openai 6.49.0',
    unit: 'events/s of CPU',
  });
}
