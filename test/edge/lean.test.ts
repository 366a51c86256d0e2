/** The lean way of relaying: the same bytes, metered and stopped all the same; what it cannot do is shown as well. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chat, type Edge, startEdge, until, withoutPings } from './edge.ts';
import { accept, type Generation, ScriptedNode, streamOf, textEvent } from './scripted-node.ts';

const node = new ScriptedNode();
let edge: Edge;
beforeAll(async () => {
  await node.start();
  // Whoever cannot go on elsewhere need not wait for another node.
  edge = await startEdge([node], [node.url], { bindings: { RELAY: 'lean', MIGRATION_SECONDS: '0' } });
});
afterAll(async () => {
  await edge?.stop();
  await node.stop();
});

const lastRequest = () => node.generations.at(-1)!.request;
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
const finished = { prompt_tokens: 5, completion_tokens: 4, reason: 'stop' as const };
const stopped = { prompt_tokens: 7, completion_tokens: 3, reason: 'cancelled' as const };

it("is the node's bytes, however they were cut on the way, and metered by what the node says", async () => {
  const text = '活字印刷';
  node.usage = finished;
  for (const cut of [1, 40, 150, 333, 400, 700]) {
    node.script = async (generation) => {
      accept(generation);
      const bytes = Buffer.from(streamOf(generation.request, text));
      generation.response.write(bytes.subarray(0, cut));
      await pause();
      generation.response.write(bytes.subarray(cut, cut + 20));
      await pause();
      generation.response.end(bytes.subarray(cut + 20));
    };
    const response = await edge.post(chat({ stream: true }));
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(withoutPings(await response.text())).toBe(streamOf(lastRequest(), text));
    const lines = await edge.metered(lastRequest().events.id);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ completion_tokens: 4, prompt_tokens: 5, reason: 'stop', stream: true });
    expect(lines[0]!.ttft_ms).toEqual(expect.any(Number));
  }
});

it('an answer that comes in one write needs no question to the node', async () => {
  const asked = node.cancelled.length;
  node.script = (generation) => {
    accept(generation);
    generation.response.end(streamOf(generation.request, '好'));
  };
  await (await edge.post(chat({ stream: true }))).text();
  const [line] = await edge.metered(lastRequest().events.id);
  expect(line).toMatchObject({ source: 'stream', completion_tokens: 1 });
  expect(node.cancelled).toHaveLength(asked);
});

describe('a node that is lost after its first event', () => {
  const begin = async (generation: Generation) => {
    accept(generation);
    generation.response.write(textEvent(generation.request, 1, '一'));
    await pause();
    generation.response.write(textEvent(generation.request, 2, '二'));
    await pause();
  };
  const said = () => textEvent(lastRequest(), 1, '一') + textEvent(lastRequest(), 2, '二');

  it('by an end in order: an error, and no [DONE]', async () => {
    node.usage = stopped;
    node.script = async (generation) => {
      await begin(generation);
      generation.response.end();
    };
    const text = withoutPings(await (await edge.post(chat({ stream: true }))).text());
    expect(text.startsWith(said())).toBe(true);
    expect(text.slice(said().length)).toMatch(/^data: \{"error":\{.*"code":"node_lost"\}\}\n\n$/);
  });

  it('by a reset: the stream stops, without [DONE], and is metered', async () => {
    node.usage = stopped;
    node.script = async (generation) => {
      await begin(generation);
      generation.response.socket!.resetAndDestroy();
    };
    const response = await edge.post(chat({ stream: true }));
    const text = await response.text().catch(() => '');
    expect(text).not.toContain('[DONE]');
    const [line] = await edge.metered(lastRequest().events.id);
    expect(line).toMatchObject({ source: 'node', completion_tokens: 3 });
    expect(node.cancelled).toContain(lastRequest().events.id);
  });
});

it('a client that leaves stops the node and pays for what was made', async () => {
  node.usage = stopped;
  node.script = (generation) => {
    accept(generation);
    let position = 0;
    const timer = setInterval(() => {
      position++;
      generation.response.write(textEvent(generation.request, position, '字'));
    }, 20);
    void generation.closed.then(() => clearInterval(timer));
  };
  const key = await edge.newKey({ limits: { concurrent: 1 } });
  const abort = new AbortController();
  const response = await fetch(`${edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key.key}` },
    body: JSON.stringify(chat({ stream: true })),
    signal: abort.signal,
  });
  const reader = response.body!.getReader();
  for (let at = 0; at < 5; at++) await reader.read();
  const generation = node.generations.at(-1)!;
  abort.abort();
  await generation.closed;
  expect(generation.abandoned).toBe(true);
  const [line] = await edge.metered(generation.request.events.id);
  expect(line).toMatchObject({ source: 'node', reason: 'cancelled', completion_tokens: 3 });
  await until(async () => (await key.usage())[0]!.completion_tokens === 3);
  expect((await key.usage())[0]).toMatchObject({ errors: 0 });
});
