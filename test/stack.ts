/** The whole product on loopback for tests and benchmarks: a real node with huozi-tiny, the worker in real workerd. */
import { randomBytes } from 'node:crypto';
import { createKey } from '../src/dev/dev-key.ts';
import { type NodeProcess, startNode } from '../src/dev/node-process.ts';
import { startWorker } from '../src/dev/worker-host.ts';

export interface Stack {
  /** The edge's base URL for SDKs, with `/v1`. */
  baseURL: string;
  apiKey: string;
  node: NodeProcess;
  nodeToken: string;
  adminToken: string;
  /** JSON lines that the worker printed. */
  edgeLog: string[];
  stop(): Promise<void>;
}

/**
 * The same tests with another engine behind the node: `HUOZI_ENGINE=vllm HUOZI_UPSTREAM=http://127.0.0.1:8000`.
 * What is told about llama.cpp alone (threads, slots) does not matter there.
 */
const engineArgs = process.env.HUOZI_ENGINE
  ? ['--engine', process.env.HUOZI_ENGINE, '--upstream', process.env.HUOZI_UPSTREAM ?? '']
  : [];

const textAlone = ['forms', 'logprobs', 'ignore_eos', 'min_tokens', 'logit_bias', 'experts'];
/** What cannot be asked of an engine; gpu-backend/README.md says it for operators. */
const lacking: Record<string, readonly string[]> = {
  vllm: ['experts'],
  // Its logits, and so what is drawn from them, differ with what is in a batch and with what is cached.
  'llama-server': ['min_tokens', 'experts', 'seeds'],
  // As `transformers serve` is one; others have logit_bias.
  openai: textAlone,
  ollama: textAlone,
};

/** That the engine behind the node cannot do what a test is about. */
export const lacks = (what: string) => lacking[process.env.HUOZI_ENGINE ?? '']?.includes(what) ?? false;

/**
 * @param nodeArgs options of `huozi-gpu-backend serve`; one thread by default, because tests share the machine
 * @param between the URL that the edge shall know the node by, e.g. of a proxy that listens in
 */
export async function startStack(
  nodeArgs: readonly string[] = ['--threads', '1'],
  between: (nodeUrl: string) => Promise<string> = async (url) => url,
): Promise<Stack> {
  const nodeToken = randomBytes(16).toString('hex');
  const keySecret = randomBytes(16).toString('hex');
  const adminToken = randomBytes(16).toString('hex');
  const node = await startNode(nodeToken, [...nodeArgs, ...engineArgs]);
  const edgeLog: string[] = [];
  const worker = await startWorker({
    port: 0,
    bindings: {
      NODE_URLS: await between(node.url),
      NODE_TOKEN: nodeToken,
      KEY_SECRET: keySecret,
      ADMIN_TOKEN: adminToken,
    },
    onLog: (line) => edgeLog.push(line),
  });
  const { key } = await createKey(worker.url, adminToken, { name: 'test' });
  return {
    baseURL: `${worker.url}/v1`,
    apiKey: key,
    node,
    nodeToken,
    adminToken,
    edgeLog,
    stop: async () => {
      await Promise.all([worker.stop(), node.stop()]);
    },
  };
}
