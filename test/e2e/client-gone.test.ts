/** A client that leaves mid-answer frees the node's sequence. Watched on the node itself, not through the edge. */
import { request } from 'node:http';
import type { NodeInfo } from 'huozi-gpu-backend/protocol';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { lacks, type Stack, startStack } from '../stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.stop());

async function nodeInfo(): Promise<NodeInfo> {
  const response = await fetch(`${stack.node.url}/v1/node`, {
    headers: { authorization: `Bearer ${stack.nodeToken}` },
  });
  return (await response.json()) as NodeInfo;
}

async function until(condition: (info: NodeInfo) => boolean): Promise<NodeInfo> {
  for (;;) {
    const info = await nodeInfo();
    if (condition(info)) return info;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** An answer that would go on for thousands of tokens. */
function endlessAnswer(stream: boolean) {
  const body = JSON.stringify({
    model: 'huozi',
    messages: [{ role: 'user', content: '从1数到20' }],
    temperature: 0,
    max_tokens: 3_500,
    ignore_eos: true,
    stream,
  });
  const call = request(`${stack.baseURL}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stack.apiKey}`, 'content-type': 'application/json' },
  });
  call.on('error', () => undefined);
  call.end(body);
  return call;
}

function meteredRequests(): { completion_tokens: number; reason: string }[] {
  return stack.edgeLog
    .filter((line) => line.includes('completion_tokens'))
    .map((line) => JSON.parse(line.slice(line.indexOf('{'))));
}

it.skipIf(lacks('ignore_eos')).each([true, false])(
  'frees the sequence and bills what was generated (stream: %s)',
  async (stream) => {
    const before = meteredRequests().length;
    const call = endlessAnswer(stream);
    if (stream) {
      await new Promise<void>((resolve) => {
        call.on('response', (response) => response.once('data', () => resolve()));
      });
    }
    await until((info) => info.active === 1 && info.kv_used > 0);
    call.destroy();
    await until((info) => info.active === 0 && info.kv_used === 0);
    // The node went on for far less than the answer that was asked for.
    await until(() => meteredRequests().length > before);
    const metered = meteredRequests().at(-1)!;
    expect(metered.reason).toBe('cancelled');
    expect(metered.completion_tokens).toBeLessThan(3_500);
  },
);

it.skipIf(lacks('ignore_eos'))('goes on serving others beside and after a client that left', async () => {
  const leaver = endlessAnswer(true);
  await until((info) => info.active === 1);
  const answer = fetch(`${stack.baseURL}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stack.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'huozi',
      messages: [{ role: 'user', content: '从1数到20' }],
      temperature: 0,
    }),
  });
  leaver.destroy();
  const body = (await (await answer).json()) as { choices: { message: { content: string } }[] };
  expect(body.choices[0]!.message.content).toMatch(/^1、2、3、.*20$/);
  await until((info) => info.active === 0);
});
