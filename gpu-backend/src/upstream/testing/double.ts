/** An engine's double behind our node, and what comes of an answer that it is asked for. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach } from 'vitest';
import { tinyModel } from '../../engine/testing/generate.ts';
import type { GenerationEnd, GenerationRequest } from '../../engine/types.ts';
import type { Segment } from '../../protocol.ts';
import { connectUpstream } from '../connect.ts';
import type { UpstreamKind } from '../kinds.ts';
import type { UpstreamEngine } from '../upstream-engine.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

export type Asked = {
  path: string;
  headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body is what it checks
  body: any;
  response: ServerResponse;
};

export async function double(answer: (asked: Asked) => unknown): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (piece) => {
      text += piece;
    });
    request.on('end', () => {
      const one = { path: request.url!, headers: request.headers, body: text && JSON.parse(text), response };
      asked.push(one);
      answer(one);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

export async function connect(kind: UpstreamKind, url: string, more: object = {}): Promise<UpstreamEngine> {
  const log = pino({ level: 'silent' });
  const engine = await connectUpstream({ kind, modelPath: tinyModel, url, apiKey: 'k', log, ...more });
  closers.push(() => engine.close());
  return engine;
}

export const prompt: Segment[] = [
  { control: 'bos' },
  { control: 'begin' },
  { text: '用户\n<|endofutterance|>好' },
  { control: 'end' },
  { text: '\n' },
  { control: 'begin' },
  { text: '助手\n' },
];

export async function generate(engine: UpstreamEngine, fields: Partial<GenerationRequest> = {}) {
  const told = { text: '', ids: [] as number[], position: 0 };
  const end = await new Promise<GenerationEnd>((resolve, reject) => {
    const generation = engine.generate(
      {
        promptIds: engine.tokenize(prompt),
        sampling: {
          ...{ temperature: 0.8, top_p: 0.9, top_k: 0, min_p: 0, seed: 7 },
          ...{ repetition_penalty: 1, presence_penalty: 0, frequency_penalty: 0 },
        },
        maxTokens: 20,
        stopIds: [],
        stopStrings: [],
        ignoreEos: false,
        ...fields,
      },
      {
        onText(text, ids, position) {
          told.text += text;
          told.ids.push(...ids);
          told.position = position;
        },
        onEnd: resolve,
      },
    );
    generation.accepted?.catch(reject);
  });
  return { ...told, end };
}

export const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`;

/** The prompt as an engine of text alone gets it. */
export const written =
  '<|beginofutterance|>用户\n<\\|endofutterance|>好<|endofutterance|>\n<|beginofutterance|>助手\n';

export const greedy = {
  ...{ temperature: 0, top_p: 1, top_k: 0, min_p: 0, seed: 7 },
  ...{ repetition_penalty: 1, presence_penalty: 0, frequency_penalty: 0 },
};
