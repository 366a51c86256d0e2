/** The ways to the same tokens: in this process, over the node's HTTP, through the edge, and llama-server's. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Engine } from 'huozi-gpu-backend';
import type { GenerateRequest } from 'huozi-gpu-backend/protocol';
import type { Stack } from '../stack.ts';
import { answerTokens, type Measured, median, promptText, type Target } from './load.ts';

export const greedy = {
  temperature: 0,
  top_p: 1,
  top_k: 0,
  min_p: 0,
  repetition_penalty: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  seed: 0,
};

/** The edge's template, so that every way evaluates the same prompt. */
export const promptSegments: GenerateRequest['prompt'] = [
  { control: 'bos' },
  { control: 'begin' },
  { text: `用户\n${promptText}` },
  { control: 'end' },
  { text: '\n' },
  { control: 'begin' },
  { text: '助手\n' },
];

/** The engine alone, without HTTP. */
export async function engineAlone(engine: Engine, streams: number): Promise<Measured> {
  const started = performance.now();
  const ttfts = await Promise.all(
    Array.from(
      { length: streams },
      () =>
        new Promise<number>((resolve, reject) => {
          let ttft = 0;
          engine.generate(
            {
              promptIds: engine.tokenize(promptSegments),
              sampling: greedy,
              maxTokens: answerTokens,
              stopIds: [],
              stopStrings: [],
              ignoreEos: true,
            },
            {
              onText: () => {
                ttft ||= performance.now() - started;
              },
              onEnd: (end) => (end.reason === 'length' ? resolve(ttft) : reject(new Error(end.reason))),
            },
          );
        }),
    ),
  );
  const seconds = (performance.now() - started) / 1000;
  return { tokensPerSecond: (streams * answerTokens) / seconds, ttftMs: median(ttfts) };
}

let requests = 0;

export function nodeTarget(stack: Stack): Target {
  return {
    url: `${stack.node.url}/v1/generate`,
    headers: { authorization: `Bearer ${stack.nodeToken}`, 'content-type': 'application/json' },
    body: (): GenerateRequest => ({
      prompt: promptSegments,
      sampling: greedy,
      max_tokens: answerTokens,
      stop: [],
      stop_token_ids: [],
      ignore_eos: true,
      events: {
        object: 'chat.completion',
        id: `bench-${requests++}`,
        model: 'huozi',
        created: 0,
        role: 'assistant',
        stream: true,
        include_usage: false,
      },
    }),
  };
}

export function edgeTarget(stack: Stack): Target {
  return {
    url: `${stack.baseURL}/chat/completions`,
    headers: { authorization: `Bearer ${stack.apiKey}`, 'content-type': 'application/json' },
    body: () => ({
      model: 'huozi',
      messages: [{ role: 'user', content: promptText }],
      temperature: 0,
      max_tokens: answerTokens,
      ignore_eos: true,
      stream: true,
    }),
  };
}

export interface LlamaServer {
  target: Target;
  /** Another prompt, its answer's length, and its own prefix cache as it comes. */
  /** @param bias of logits, by token id */
  complete(ids: Int32Array, tokens: number, bias?: Record<string, number>): Target;
  stop(): Promise<void>;
}

/**
 * llama.cpp's own server on the same file and threads. `LLAMA_SERVER` names its binary; `.ci/peers` builds it from
 * the source that node-llama-cpp bundles.
 */
export async function llamaServer(
  binary: string,
  model: string,
  options: { threads: number; slots: number; contextTokens: number; ids: Int32Array },
): Promise<LlamaServer> {
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const child = spawn(
    binary,
    [
      ...['--model', model, '--host', '127.0.0.1', '--port', String(port)],
      ...['--threads', String(options.threads), '--threads-batch', String(options.threads)],
      ...['--parallel', String(options.slots), '--ctx-size', String(options.contextTokens), '--kv-unified'],
      ...['--batch-size', '512', '--no-webui', '--log-disable'],
    ],
    { stdio: 'ignore' },
  );
  const url = `http://127.0.0.1:${port}`;
  for (let ready = false; !ready; ) {
    if (child.exitCode !== null) throw new Error(`llama-server ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    ready = await fetch(`${url}/health`).then(
      (response) => response.ok,
      () => false,
    );
  }
  const complete = (
    ids: Int32Array,
    tokens: number,
    bias: Record<string, number> = {},
    cache_prompt = true,
  ): Target => ({
    url: `${url}/completion`,
    headers: { 'content-type': 'application/json' },
    body: () => ({
      prompt: Array.from(ids),
      temperature: 0,
      n_predict: tokens,
      ignore_eos: true,
      cache_prompt,
      logit_bias: Object.entries(bias).map(([id, value]) => [Number(id), value]),
      stream: true,
    }),
  });
  return {
    // Equal work: what one prefix cache knows and another does not is measured by itself.
    target: complete(options.ids, answerTokens, {}, false),
    complete,
    stop: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
