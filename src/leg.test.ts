/** A leg without a network: what relaying over real workerd cannot wait for or bring about. */
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Leg } from './leg.ts';

const node = { url: 'http://node', token: 'token' };
const encoder = new TextEncoder();

function legOf(silenceMs = 5_000) {
  const abort = new AbortController();
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given;
    },
  });
  // As `fetch` does when its signal aborts.
  abort.signal.addEventListener('abort', () => controller.error(new DOMException('aborted', 'AbortError')));
  const leg = new Leg(node, 'chatcmpl-1', body, abort, silenceMs);
  return { leg, abort, send: (text: string) => controller.enqueue(encoder.encode(text)), controller };
}

async function readAll(leg: Leg): Promise<string[]> {
  const decoder = new TextDecoder();
  const writes: string[] = [];
  for (let events = await leg.read(); events; events = await leg.read()) writes.push(decoder.decode(events));
  return writes;
}

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a leg', () => {
  it('gives whole events only, as early as they are whole, wherever the bytes were cut', async () => {
    const stream = `${Array.from({ length: 9 }, (_, at) => `id: ${at}\ndata: {"t":"字${at}"}\n\n`).join('')}data: [DONE]\n\n`;
    const bytes = encoder.encode(stream);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 40 }), async (cuts) => {
        const { leg, controller } = legOf();
        const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        for (let cut = 1; cut < at.length; cut++) {
          if (at[cut - 1] !== at[cut]) controller.enqueue(bytes.slice(at[cut - 1], at[cut]));
        }
        controller.close();
        const writes = await readAll(leg);
        expect(writes.join('')).toBe(stream);
        expect(writes.every((write) => write.endsWith('\n\n'))).toBe(true);
        expect(leg.end).toBe('done');
      }),
    );
  });

  it('is lost when its node says nothing for too long, and not before', async () => {
    vi.useFakeTimers();
    const { leg, abort, send } = legOf(1_000);
    const writes = readAll(leg);
    for (let ping = 0; ping < 5; ping++) {
      await vi.advanceTimersByTimeAsync(900);
      send(': ping\n\n');
    }
    expect(abort.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await writes).toHaveLength(5);
    expect(leg.end).toBe('lost');
    expect(abort.signal.aborted).toBe(true);
  });

  it('is not lost while a slow client holds things up', async () => {
    vi.useFakeTimers();
    const { leg, abort, send } = legOf(1_000);
    send('data: {"t":1}\n\n');
    await leg.read();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(abort.signal.aborted).toBe(false);
    send('data: [DONE]\n\n');
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
