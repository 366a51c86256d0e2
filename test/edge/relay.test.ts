/** What a streaming client reads, byte for byte, whatever the node does. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ping } from '../../gpu-backend/src/ping.ts';
import { chat, edgeBeforeNode, startEdge, until, withoutPings } from './edge.ts';
import { accept, type Generation, streamOf, textEvent } from './scripted-node.ts';

const { node, edge } = edgeBeforeNode();

const streamed = async () => withoutPings(await (await edge.post(chat({ stream: true }))).text());
const lastRequest = () => node.generations.at(-1)!.request;
const nodeLost =
  'data: {"error":{"message":"The node was lost before the answer was complete.","type":"server_error","param":null,"code":"node_lost"}}\n\n';

describe('a stream', () => {
  it("is the node's bytes, however they were cut on the way", async () => {
    const text = '活字印刷🀄<|endofutterance|>"\\\n\n: usage {}\ndata: [DONE]\n\n';
    const cuts = fc.array(fc.tuple(fc.integer({ min: 1, max: 700 }), fc.constantFrom(0, 0, 1, 5)), {
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(cuts, async (pieces) => {
        node.script = async (generation) => {
          accept(generation);
          let rest = Buffer.from(streamOf(generation.request, text));
          for (const [length, pause] of pieces) {
            generation.response.write(rest.subarray(0, length));
            rest = rest.subarray(length);
            if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
          }
          generation.response.end(rest);
        };
        expect(await streamed()).toBe(streamOf(lastRequest(), text));
      }),
      { numRuns: 40 },
    );
  });

  it('comes with headers that keep it flowing', async () => {
    const response = await edge.post(chat({ stream: true }), { headers: { 'x-request-id': 'mine-1' } });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-store, no-transform');
    expect(response.headers.get('x-request-id')).toBe('mine-1');
    await response.text();
    expect(node.generations.at(-1)!.headers['x-request-id']).toBe('mine-1');
  });

  it('ends at [DONE], whatever the node writes after it', async () => {
    node.script = (generation) => {
      accept(generation);
      generation.response.end(`${streamOf(generation.request, '好')}data: {"more":1}`);
    };
    expect(await streamed()).toBe(streamOf(lastRequest(), '好'));
  });

  it('is metered once, from its own last write', async () => {
    await streamed();
    const lines = await edge.metered(lastRequest().events.id);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      key: edge.keyId,
      model: 'huozi',
      stream: true,
      prompt_tokens: 5,
      completion_tokens: 1,
      reason: 'stop',
      source: 'stream',
      id: lastRequest().events.id,
    });
  });
});

describe('a node that is lost', () => {
  const half = (generation: Generation) => textEvent(generation.request, 3, '三三三');
  const kinds: [string, (generation: Generation) => unknown][] = [
    ['is reset between events', ({ response }) => response.socket!.resetAndDestroy()],
    ['ends cleanly without [DONE]', ({ response }) => response.end()],
    ['cuts its chunked body', ({ response }) => response.socket!.destroy()],
    [
      'is reset in the middle of a character',
      (generation) => {
        const bytes = Buffer.from(half(generation));
        generation.response.write(bytes.subarray(0, bytes.indexOf('三') + 1), () =>
          generation.response.socket!.resetAndDestroy(),
        );
      },
    ],
    [
      'ends cleanly between the two line ends',
      (generation) => generation.response.end(half(generation).slice(0, -1)),
    ],
    [
      'ends cleanly in the middle of JSON',
      (generation) => generation.response.end(half(generation).slice(0, 60)),
    ],
  ];

  it.each(kinds)('%s: whole events, then an error, and no [DONE]', async (_name, die) => {
    node.script = async (generation) => {
      accept(generation);
      generation.response.write(
        textEvent(generation.request, 1, '一') + textEvent(generation.request, 2, '二'),
      );
      // So that the events are not lost with the connection they came over.
      await new Promise((resolve) => setTimeout(resolve, 50));
      die(generation);
    };
    const request = () => lastRequest();
    expect(await streamed()).toBe(textEvent(request(), 1, '一') + textEvent(request(), 2, '二') + nodeLost);
    // The node is asked what was used, in case it lives.
    const [line] = await edge.metered(lastRequest().events.id);
    expect(line).toMatchObject({ source: 'node', prompt_tokens: 7, completion_tokens: 3 });
    expect(node.cancelled).toContain(request().events.id);
  });

  it('and tells nothing afterwards: its tokens are counted by the last id', async () => {
    const usage = node.usage;
    node.usage = undefined;
    node.script = (generation) => {
      accept(generation);
      generation.response.end(
        textEvent(generation.request, 1, '一') + textEvent(generation.request, 2, '二'),
      );
    };
    await streamed();
    const [line] = await edge.metered(lastRequest().events.id);
    expect(line).toMatchObject({ source: 'counted', completion_tokens: 2, reason: 'error' });
    node.usage = usage;
  });

  it('before its first event, with no other one to turn to: an error and nothing else', async () => {
    node.script = (generation) => {
      accept(generation);
      generation.response.write(ping, () => generation.response.socket!.resetAndDestroy());
    };
    expect(await streamed()).toBe(nodeLost);
  });
});

describe("a node's own error", () => {
  const failure = (code: string | null, reason: string) =>
    `: usage {"prompt_tokens":5,"completion_tokens":1,"reason":"${reason}"}\ndata: {"error":{"message":"SECRET","type":"SECRET","param":"SECRET","code":${JSON.stringify(code)}}}\n\n`;
  const told = (text: string) => JSON.parse(text.slice(text.lastIndexOf('data: ') + 6)).error;

  it.each([
    ['internal_error', 'upstream_error'],
    ['SECRET', 'upstream_error'],
    [null, 'upstream_error'],
    ['node_draining', 'node_lost'],
    ['deadline_exceeded', 'deadline_exceeded'],
    ['generation_cancelled', 'generation_cancelled'],
  ])('%j reaches the client in the words of the edge, as %s', async (code, expected) => {
    for (const together of [true, false]) {
      node.script = async (generation) => {
        accept(generation);
        generation.response.write(
          textEvent(generation.request, 1, '一') + (together ? failure(code, 'error') : ''),
        );
        await new Promise((resolve) => setTimeout(resolve, 20));
        generation.response.end(together ? '' : failure(code, 'error'));
      };
      const text = await streamed();
      const said = textEvent(lastRequest(), 1, '一');
      expect(text.startsWith(said)).toBe(true);
      expect(text.slice(said.length)).toMatch(/^data: \{"error":.*\}\n\n$/);
      expect(text).not.toContain('SECRET');
      expect(told(text)).toMatchObject({ code: expected, param: null });
      const [line] = await edge.metered(lastRequest().events.id);
      expect(line).toMatchObject({ source: 'stream', completion_tokens: 1, reason: 'error' });
    }
  });
});

describe.each([true, false])('an answer that takes too long (stream: %s)', (stream) => {
  it('is ended, says so, and its node is told', async () => {
    const hurried = await startEdge([node], [node.url], { bindings: { DEADLINE_SECONDS: '1' } });
    try {
      node.script = (generation) => {
        accept(generation);
        generation.response.write(textEvent(generation.request, 1, '一'));
      };
      const text = await (await hurried.post(chat({ stream }))).text();
      if (stream) expect(text).toContain(textEvent(lastRequest(), 1, '一'));
      expect(JSON.parse(text.slice(text.lastIndexOf('{"error"'))).error.code).toBe('deadline_exceeded');
      await until(() => node.cancelled.includes(lastRequest().events.id));
      const [line] = await hurried.metered(lastRequest().events.id);
      expect(line).toMatchObject({ source: 'node', completion_tokens: 3 });
    } finally {
      await hurried.stop();
    }
  });
});

it('breaks silence with pings before the first event', async () => {
  node.script = accept;
  const reader = (await edge.post(chat({ stream: true }))).body!.getReader();
  const { value } = await reader.read();
  expect(Buffer.from(value!).toString()).toBe(': ping\n\n');
  const { response, request } = node.generations.at(-1)!;
  response.end(streamOf(request, '好'));
  let rest = '';
  for (let read = await reader.read(); !read.done; read = await reader.read())
    rest += Buffer.from(read.value);
  expect(withoutPings(rest)).toBe(streamOf(request, '好'));
});

it('holds the node back for a client that does not read, and loses nothing', async () => {
  const block = 'x'.repeat(64 * 1024);
  const blocks = 1_600;
  let written = 0;
  node.script = async (generation) => {
    accept(generation);
    for (let at = 1; at <= blocks; at++) {
      const more = generation.response.write(textEvent(generation.request, at, block));
      written = at;
      if (!more) await new Promise((resolve) => generation.response.once('drain', resolve));
    }
    generation.response.end(streamOf(generation.request, ''));
  };
  const socket = edge.raw(chat({ stream: true }));
  socket.pause();
  await until(() => written > 0);
  // Stands still: what is under way fills the buffers of sockets and of the edge, and no more.
  for (let before = -1; before !== written; ) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  expect(written).toBeLessThan(blocks / 2);

  const expected = createHash('sha256');
  for (let at = 1; at <= blocks; at++) expected.update(textEvent(lastRequest(), at, block));
  expected.update(streamOf(lastRequest(), ''));
  const got = createHash('sha256').update(withoutPings(await readChunkedBody(socket)));
  expect(got.digest('hex')).toBe(expected.digest('hex'));
});

/** The body of a chunked HTTP/1.1 response, to its end. */
async function readChunkedBody(socket: import('node:net').Socket): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of socket) {
    pieces.push(piece as Buffer);
    if ((piece as Buffer).subarray(-5).equals(Buffer.from('0\r\n\r\n'))) break;
  }
  const bytes = Buffer.concat(pieces);
  const body: Buffer[] = [];
  for (let at = bytes.indexOf('\r\n\r\n') + 4; ; ) {
    const line = bytes.indexOf('\r\n', at);
    const length = Number.parseInt(bytes.subarray(at, line).toString(), 16);
    if (length === 0) return Buffer.concat(body).toString();
    body.push(bytes.subarray(line + 2, line + 2 + length));
    at = line + 2 + length + 2;
  }
}
