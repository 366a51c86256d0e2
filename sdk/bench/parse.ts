/**
 * `npm run bench -w huozi`: events/s from bytes to chunks in a `for await`, and what a page pays for it, beside
 * openai's client and the AI SDK's provider for servers like ours in the same run.
 *
 * No network: all read the same bytes, one event a read as a live stream brings them, and in pieces of 16 KiB as
 * a fast one does. Medians of interleaved rounds; BENCH_ROUNDS takes another number of them than 15.
 */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import OpenAI from 'openai';
import { record } from '../../test/bench/results.ts';
import { Huozi } from '../src/index.ts';
import { chunk, first, last } from '../test/answers.ts';
import { aiSdkSize, openaiSize, ourSize } from '../test/bundle-size.ts';

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

/** The provider alone, without what `streamText` adds. */
async function aiSdk(fetch: typeof globalThis.fetch): Promise<number> {
  const model = createOpenAICompatible({ ...options, name: 'huozi', fetch })('huozi');
  const { stream } = await model.doStream({
    prompt: [{ role: 'user', content: [{ type: 'text', text: '你好' }] }],
  });
  const reader = stream.getReader();
  let chunks = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return chunks;
    // The last chunk carries no text; its finish stands for it.
    if (value.type === 'text-delta' || value.type === 'finish') chunks++;
  }
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
  const readers = { ours, openai: theirs, aiSdk };
  const speeds: Record<keyof typeof readers, number[]> = { ours: [], openai: [], aiSdk: [] };
  // The first rounds are the compiler's.
  for (let round = -3; round < rounds; round++) {
    for (const name of Object.keys(readers) as (keyof typeof readers)[]) {
      const reached = await speed(readers[name], pieces);
      if (round >= 0) speeds[name].push(reached);
    }
  }
  const unit = 'events/s of CPU';
  const mine = median(speeds.ours);
  const told = { bench: 'sdk parse', metric, ours: mine, unit };
  record({ ...told, peer: median(speeds.openai), against: 'openai 6.49.0' });
  record({ ...told, peer: median(speeds.aiSdk), against: '@ai-sdk/openai-compatible 2.0.92' });
}

const sizes = { ours: await ourSize(), openai: await openaiSize(), aiSdk: await aiSdkSize() };
const size = {
  bench: 'sdk size',
  metric: 'streaming chat',
  ours: sizes.ours,
  unit: 'bytes, minified, gzipped',
};
record({ ...size, peer: sizes.openai, against: 'openai 6.49.0' });
record({ ...size, peer: sizes.aiSdk, against: '@ai-sdk/openai-compatible 2.0.92' });
