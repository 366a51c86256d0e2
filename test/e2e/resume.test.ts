/** The SDK before the real edge, over connections that are cut: nothing lost, nothing twice; leaving frees the node. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Huozi } from 'huozi';
import { Conversation } from 'huozi/conversation';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { type Stack, startStack } from '../stack.ts';

const poem = '床前明月光，疑是地上霜。举头望明月，低头思故乡。';
const body = {
  model: 'huozi',
  messages: [{ role: 'user' as const, content: '背诵《静夜思》' }],
  temperature: 0,
  stream: true as const,
};

let stack: Stack;
let proxy: Server;
/** Amid which event each next connection is cut; past the list none is. */
let cuts: number[] = [];
const sockets = new Set<Socket>();

beforeAll(async () => {
  stack = await startStack(['--threads', '1', '--slots', '2']);
  const { hostname, port } = new URL(stack.baseURL);
  proxy = createServer((client) => {
    const server = connect(Number(port), hostname);
    const cutAt = cuts.shift();
    let told = '';
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          sockets.delete(socket);
          client.destroy();
          server.destroy();
        });
    }
    client.pipe(server);
    // One letter a byte, so that places in the text are places in the bytes.
    server.setEncoding('latin1').on('data', (text: string) => {
      const mark = `id: ${cutAt}\n`;
      const from = told.length;
      told += text;
      const at = cutAt === undefined ? -1 : told.indexOf(mark);
      if (at < 0) client.write(text, 'latin1');
      else {
        client.write(told.slice(from, at + mark.length + 10), 'latin1');
        // What was written goes out before the connection breaks.
        server.pause();
        client.destroySoon();
      }
    });
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
});
afterEach(() => {
  cuts = [];
  for (const socket of sockets) socket.destroy();
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  proxy?.close();
  await stack?.stop();
});

const huozi = () => {
  const { port } = proxy.address() as { port: number };
  return new Huozi({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: stack.apiKey, maxRetries: 5 });
};

it('cut anywhere, several times: the poem, its usage, and one answer on the bill', async () => {
  const usages: unknown[] = [];
  for (const at of [[], [1], [2], [3, 5], [1, 4, 6, 9], [2, 3, 4, 5, 6, 7, 8]]) {
    cuts = [...at];
    const onResume = vi.fn();
    const stream = await huozi().chat.completions.create(body, { onResume });
    let text = '';
    for await (const piece of stream.textStream) text += piece;
    expect(text, `cut after ${at}`).toBe(poem);
    usages.push(stream.usage);
    // Before the first event there is nothing to go on after: the request is sent again, and joins its answer.
    expect(onResume, `cut after ${at}`).toHaveBeenCalledTimes(at.filter((event) => event > 1).length);
    // Connections that were not needed must not cut the next answer.
    for (const socket of sockets) socket.destroy();
  }
  expect(usages).toEqual(
    usages.map(() => expect.objectContaining({ completion_tokens: expect.any(Number) })),
  );
  const tokens = usages.map((usage) => (usage as { completion_tokens: number }).completion_tokens);
  expect(new Set(tokens).size).toBe(1);
  const billed = async () => {
    const response = await fetch(`${stack.baseURL}/usage`, {
      headers: { authorization: `Bearer ${stack.apiKey}` },
    });
    const { data } = (await response.json()) as { data: { requests: number; completion_tokens: number }[] };
    return data.map(({ requests, completion_tokens }) => [requests, completion_tokens]);
  };
  // The last answer is charged a moment after its end.
  await vi.waitFor(
    async () => expect(await billed()).toEqual([[tokens.length, tokens.length * tokens[0]!]]),
    { timeout: 20_000 },
  );
});

it('a conversation notices nothing of a cut', async () => {
  const chat = new Conversation(huozi(), { model: 'huozi', temperature: 0 });
  cuts = [4];
  expect((await (await chat.send('背诵《静夜思》')).finalMessage()).content).toBe(poem);
  expect(chat.messages).toHaveLength(2);
});

it('leaving frees the node', async () => {
  const running = async () => {
    const response = await fetch(`${stack.node.url}/metrics`, {
      headers: { authorization: `Bearer ${stack.nodeToken}` },
    });
    return Number(/^huozi_num_requests_running (\d+)/m.exec(await response.text())![1]);
  };
  const endless = { ...body, ignore_eos: true, max_tokens: 4000 };
  const stream = await huozi().chat.completions.create(endless);
  for await (const _ of stream.textStream) {
    expect(await running()).toBe(1);
    break;
  }
  await vi.waitFor(async () => expect(await running()).toBe(0), { timeout: 20_000 });
});
