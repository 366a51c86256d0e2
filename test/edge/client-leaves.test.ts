/** A client that leaves stops the node: in every phase, in every way of leaving, streaming or not. */
import { describe, expect, it } from 'vitest';
import { chat, edgeBeforeNode, startEdge, until } from './edge.ts';
import { accept, type Generation, type Script, ScriptedNode, streamOf, textEvent } from './scripted-node.ts';

const { node, edge } = edgeBeforeNode();

/** Tokens for as long as anybody listens. */
function runOn(generation: Generation): void {
  accept(generation);
  let position = 0;
  const timer = setInterval(() => {
    position++;
    generation.response.write(textEvent(generation.request, position, '字'));
  }, 20);
  void generation.closed.then(() => clearInterval(timer));
}

const leave = {
  'a plain close': (socket: import('node:net').Socket) => socket.destroy(),
  'a reset': (socket: import('node:net').Socket) => socket.resetAndDestroy(),
};
const phases = {
  'before the node has answered at all': () => undefined,
  'while it is queued or reads the prompt': accept,
  'while it generates': runOn,
};

describe.each([true, false])('stream: %s', (stream) => {
  describe.each(Object.keys(phases) as (keyof typeof phases)[])('%s', (phase) => {
    it.each(Object.keys(leave) as (keyof typeof leave)[])('by %s', async (way) => {
      // A plain close before the node's headers shows only after them: nothing can be written until then.
      const unseen = phase === 'before the node has answered at all' && way === 'a plain close';
      node.script = phases[phase];
      const asked = node.generations.length;
      const socket = edge.raw(chat({ stream }));
      const generation = await until(() => node.generations[asked]);
      if (phase === 'while it generates' && stream)
        await new Promise((resolve) => socket.once('data', resolve));
      leave[way](socket);
      if (unseen) accept(generation);
      await generation.closed;
      expect(generation.abandoned).toBe(true);
      const { id } = generation.request.events;
      await until(() => node.cancelled.includes(id));
      // Billed with what the node says that it generated.
      const lines = await edge.metered(id);
      expect(lines).toHaveLength(1);
      const billed = { node: node.url, source: 'node', reason: 'cancelled', completion_tokens: 3 };
      expect(lines[0]).toMatchObject({ stream, ...billed });
    });
  });
});

it('also where the body came in chunks, which makes the edge copy the request', async () => {
  node.script = runOn;
  const asked = node.generations.length;
  const abort = new AbortController();
  const body = new Blob([JSON.stringify(chat({ stream: true }))]).stream();
  const call = fetch(`${edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${edge.apiKey}` },
    body,
    duplex: 'half',
    signal: abort.signal,
  } as RequestInit);
  await (await call).body!.getReader().read();
  abort.abort();
  const generation = await until(() => node.generations[asked]);
  await generation.closed;
  expect(generation.abandoned).toBe(true);
});

it('while another node is asked to go on: that one counts the whole answer', async () => {
  const nodes = [await new ScriptedNode().start(), await new ScriptedNode().start()];
  const two = await startEdge(nodes);
  try {
    const asked: string[] = [];
    for (const { url } of nodes) node(url).script = (generation) => script(url)(generation);
    function node(url: string): ScriptedNode {
      return nodes.find((one) => one.url === url)!;
    }
    function script(url: string): Script {
      asked.push(url);
      // The second one has the request, and its headers never come.
      if (asked.length > 1) return () => undefined;
      return (generation) => {
        accept(generation);
        generation.response.write(textEvent(generation.request, 1, '半'));
        setTimeout(() => generation.response.socket!.resetAndDestroy(), 100);
      };
    }
    const socket = two.raw(chat({ stream: true }));
    await until(() => asked.length === 2);
    socket.resetAndDestroy();
    const second = node(asked[1]!);
    const { id } = second.generations[0]!.request.events;
    await until(() => second.cancelled.includes(id));
    const lines = await two.metered(id);
    expect(lines).toHaveLength(1);
    const billed = { node: second.url, source: 'node', prompt_tokens: 7, completion_tokens: 3 };
    expect(lines[0]).toMatchObject(billed);
  } finally {
    await two.stop();
    await Promise.all(nodes.map((one) => one.stop()));
  }
});

it('and nobody else is touched', async () => {
  node.script = runOn;
  const asked = node.generations.length;
  const leavers = Array.from({ length: 10 }, () => edge.raw(chat({ stream: true })));
  await until(() => node.generations.length === asked + 10);
  let stayed: Generation | undefined;
  node.script = (generation) => {
    stayed = generation;
    accept(generation);
    generation.response.write(textEvent(generation.request, 1, '留'));
  };
  const staying = await edge.post(chat({ stream: true }));
  for (const socket of leavers) socket.destroy();
  const left = node.generations.slice(asked, asked + 10);
  await Promise.all(left.map((generation) => generation.closed));
  const { request, response } = await until(() => stayed);
  response.end(streamOf(request, '留下').slice(textEvent(request, 1, '留').length));
  expect(await staying.text()).toContain(streamOf(request, '留下').slice(-200));
  expect(node.cancelled).not.toContain(request.events.id);
});

it('a client that only closes its own direction still gets its answer', async () => {
  node.script = (generation) => {
    accept(generation);
    setTimeout(() => generation.response.end(streamOf(generation.request, '好')), 300);
  };
  const socket = edge.raw(chat({ stream: true }));
  socket.end();
  let got = '';
  for await (const piece of socket) got += piece;
  expect(got).toContain('data: [DONE]');
});
