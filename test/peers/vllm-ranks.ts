/** Two ranks of one vLLM, as on two machines, by the script that operators get: rank 0 is a node of ours. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { loadEngine } from '../../gpu-backend/src/engine/engine.ts';
import { ask as askEngine, greedy, start, tinyModel } from '../../gpu-backend/src/engine/testing/generate.ts';
import { createKey } from '../../src/dev/dev-key.ts';
import { startWorker } from '../../src/dev/worker-host.ts';
import { ask, inParallel, isComplete, prompts, type Told } from '../fleet/migration.ts';

const script = fileURLToPath(new URL('../../gpu-backend/examples/vllm/rank.sh', import.meta.url));
const cli = fileURLToPath(new URL('../../gpu-backend/src/cli.ts', import.meta.url));
const questions = 24;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** @returns once it has ended */
async function stop(child: ChildProcess, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(late);
}

async function ready(node: ChildProcess): Promise<string> {
  const lines = createInterface({ input: node.stdout! });
  for await (const line of lines) if (line.startsWith('ready ')) return line.slice('ready '.length);
  throw new Error('rank 0 ended before it was ready');
}

/**
 * @param vllm the program
 * @param weights huozi-tiny as a Hugging Face folder
 */
export async function ranks(vllm: string, weights: string): Promise<boolean> {
  const asked = prompts(questions);
  const engine = await loadEngine({
    ...{ modelPath: tinyModel, slots: 1, contextTokens: 4096, batchTokens: 256, threads: 1, gpuLayers: 0 },
  });
  const ours: string[] = [];
  for (const question of asked) {
    const request = { promptIds: askEngine(engine, question), sampling: greedy, maxTokens: 96 };
    ours.push((await start(engine, request).answer).text);
  }
  await engine.close();

  const secret = () => randomBytes(16).toString('hex');
  const secrets = { NODE_TOKEN: secret(), KEY_SECRET: secret(), ADMIN_TOKEN: secret() };
  const env = {
    ...process.env,
    VLLM: vllm,
    MASTER_PORT: String(await freePort()),
    HUOZI_NODE_TOKEN: secrets.NODE_TOKEN,
    SERVE: `${process.execPath} --conditions=huozi-source --import tsx ${cli} serve --port 0`,
    SLOTS: '8',
    CONTEXT: '4096',
  };
  const flags = [
    '--tensor-parallel-size',
    '2',
    '--dtype',
    'float32',
    '--enforce-eager',
    '--served-model-name',
    'huozi',
  ];
  const [node, further] = ['0', '1'].map((rank) =>
    spawn(script, [rank, '2', '127.0.0.1', weights, ...flags], { env, stdio: ['ignore', 'pipe', 'inherit'] }),
  ) as [ChildProcess, ChildProcess];
  further.stdout!.resume();
  try {
    const NODE_URLS = await ready(node);
    const worker = await startWorker({
      port: 0,
      bindings: { NODE_URLS, ...secrets },
      onLog: () => undefined,
    });
    try {
      const { key } = await createKey(worker.url, secrets.ADMIN_TOKEN, { name: 'ranks' });
      const told: Told[] = [];
      await inParallel(asked, 8, async (question, i) => {
        const edge = { baseURL: `${worker.url}/v1`, apiKey: key };
        told[i] = await ask(edge, question, { temperature: 0, max_tokens: 96 }, () => undefined);
      });
      const same = told.filter((one, i) => isComplete(one) && one.text === ours[i]).length;
      process.stdout.write(
        `vLLM as two ranks over loopback: ${same} of ${questions} greedy answers are our engine's\n`,
      );
      return same >= 0.95 * questions;
    } finally {
      await worker.stop();
    }
  } finally {
    await Promise.all([stop(node, 40_000), stop(further, 40_000)]);
  }
}
