/**
 * A node for measuring what stands before it: it computes nothing and writes its tokens on the beat, one write each,
 * the first of them at once.
 * `seed` of a request is the beat in milliseconds (0: all at once, as fast as they go), `max_tokens` how many tokens.
 * It speaks the nodes' protocol and, for other people's gateways, OpenAI's chat API with the same events.
 * Run as a process of its own, so that the CPU it takes is not counted as anybody else's. Prints its URL.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const head = '"id":"chatcmpl-bench","object":"chat.completion.chunk","created":0,"model":"huozi"';
const choice = (delta: string, finish: string) =>
  `{${head},"choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${finish}}]}`;
const text = choice('{"content":"字"}', 'null');
const usage = (tokens: number) => `{"prompt_tokens":5,"completion_tokens":${tokens},"reason":"length"}`;

function event(position: number, forNode: boolean): string {
  const first = position === 1 ? `data: ${choice('{"role":"assistant","content":""}', 'null')}\n\n` : '';
  return `${first}${forNode ? `id: ${position}\n: ids 312\n` : ''}data: ${text}\n\n`;
}

function ending(tokens: number, forNode: boolean): string {
  return `data: ${choice('{}', '"length"')}\n\n${forNode ? `: usage ${usage(tokens)}\n` : ''}data: [DONE]\n\n`;
}

interface Running {
  response: ServerResponse;
  beatMs: number;
  nextAt: number;
  position: number;
  tokens: number;
  forNode: boolean;
}

const running = new Set<Running>();
/** One timer for all: a thousand would not keep their beat. */
setInterval(() => {
  const now = performance.now();
  for (const one of running) if (now >= one.nextAt) beat(one);
}, 1);

function beat(one: Running): void {
  const { response, forNode } = one;
  one.nextAt += one.beatMs;
  one.position++;
  response.write(event(one.position, forNode));
  if (one.position < one.tokens) return;
  running.delete(one);
  response.end(ending(one.tokens, forNode));
}

async function answer(request: IncomingMessage, response: ServerResponse, forNode: boolean): Promise<void> {
  let body = '';
  for await (const piece of request.setEncoding('utf8')) body += piece;
  const { max_tokens: tokens, seed, sampling } = JSON.parse(body);
  const beatMs = seed ?? sampling.seed;
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.flushHeaders();
  const one = { response, beatMs, nextAt: performance.now(), position: 0, tokens, forNode };
  response.on('close', () => running.delete(one));
  if (beatMs > 0) {
    if (tokens > 1) running.add(one);
    beat(one);
    return;
  }
  while (one.position < tokens) beat(one);
}

const server = createServer((request, response) => {
  const { method, url } = request;
  if (url === '/v1/node') {
    response.end(
      JSON.stringify({ model: 'huozi', context_length: 32_768, slots: 1_000, active: 0, queued: 0 }),
    );
  } else if (method === 'DELETE') {
    response.end(JSON.stringify({ id: url!.split('/').at(-1), usage: JSON.parse(usage(0)) }));
  } else {
    void answer(request, response, url === '/v1/generate');
  }
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`ready http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
