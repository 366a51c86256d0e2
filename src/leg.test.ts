/** A leg without a network: what relaying over real workerd cannot wait for or bring about. */
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ping } from '../gpu-backend/src/ping.ts';
import { Leg } from './leg.ts';

const node = { url: 'http://node', token: 'token' };
const encoder = new TextEncoder();
/** Hardly longer than the shortest that a node writes. */
const text = (at: number) => `id: ${at}\ndata: {"content":"字"}\n\n`;
const end = ': usage {"prompt_tokens":5}\ndata: [DONE]\n\n';

function legOf(silenceMs = 5_000) {
  const state = { isCut: false };
  let controller!: ReadableByteStreamController;
  const body = new ReadableStream({
    type: 'bytes',
    start(given) {
      controller = given as ReadableByteStreamController;
    },
    cancel() {
      state.isCut = true;
    },
  });
  const leg = new Leg(node, 'chatcmpl-1', body, new AbortController(), silenceMs);
  return { leg, state, send: (text: string) => controller.enqueue(encoder.encode(text)), controller };
}

async function readAll(leg: Leg, writes: string[] = []): Promise<string[]> {
  const decoder = new TextDecoder();
  for (let events = await leg.read(); events; events = await leg.read()) writes.push(decoder.decode(events));
  return writes;
}

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a leg', () => {
  it('gives whole events only, as early as they are whole, wherever the bytes were cut', async () => {
    const stream = [ping, ...Array.from({ length: 9 }, (_, at) => text(at)), ping].join('');
    const bytes = encoder.encode(stream);
    const wholeUpTo = (end: number) => new TextDecoder().decode(bytes.slice(0, end)).split(/(?<=\n\n)/);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 40 }), async (cuts) => {
        const { leg, controller, send } = legOf();
        const writes: string[] = [];
        const all = readAll(leg, writes);
        const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        for (let cut = 1; cut < at.length; cut++) {
          if (at[cut - 1] === at[cut]) continue;
          controller.enqueue(bytes.slice(at[cut - 1], at[cut]));
          await new Promise(setImmediate);
          const whole = wholeUpTo(at[cut]!).filter((event) => event.endsWith('\n\n'));
          expect(writes.join('')).toBe(whole.join(''));
        }
        send(end);
        await all;
        expect(writes.join('')).toBe(stream + end);
        expect(writes.every((write) => write.endsWith('\n\n'))).toBe(true);
        expect(leg.end).toBe('done');
      }),
    );
  });

  it('is lost when its node says nothing for too long, and not before', async () => {
    vi.useFakeTimers();
    const { leg, state, send } = legOf(1_000);
    const writes = readAll(leg);
    for (let sent = 0; sent < 5; sent++) {
      await vi.advanceTimersByTimeAsync(900);
      send(ping);
    }
    expect(state.isCut).toBe(false);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await writes).toHaveLength(5);
    expect(leg.end).toBe('lost');
    expect(state.isCut).toBe(true);
  });

  it('is not lost while a slow client holds things up', async () => {
    vi.useFakeTimers();
    const { leg, state, send } = legOf(1_000);
    send(text(1));
    await leg.read();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(state.isCut).toBe(false);
    send(end);
    await leg.read();
    expect(leg.end).toBe('done');
  });

  it('is given up when an event has no end, before it fills the memory', async () => {
    const asked: string[] = [];
    vi.stubGlobal('fetch', async (url: string, { method }: RequestInit) => {
      asked.push(`${method} ${url}`);
      return new Response('{}', { status: 404 });
    });
    const { leg, send } = legOf();
    for (let sent = 0; sent < 20; sent++) send('x'.repeat(64 * 1024));
    expect(await readAll(leg)).toEqual([]);
    expect(leg.end).toBe('lost');
    expect(asked).toEqual(['DELETE http://node/v1/generate/chatcmpl-1']);
  });
});
