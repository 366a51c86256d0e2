/**
 * Our engine and vLLM on the same weights; `.ci/peers` installs what it takes.
 *
 *     HUOZI_UPSTREAM=http://127.0.0.1:8000 npm run test:vllm -- agree [questions]
 *     HUOZI_VLLM=.peers/vllm/bin/vllm HUOZI_HF=.peers/hf npm run test:vllm -- migrate
 *
 * agree    greedy answers of all held-out questions, id by id, with a vLLM that runs already; where they part, how near
 *          the two best tokens were there
 * migrate  answers through an edge with nodes of both engines, while the vLLM processes of two nodes are killed
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadEngine } from '../../gpu-backend/src/engine/engine.ts';
import { type Answer, ask, greedy, start, tinyModel } from '../../gpu-backend/src/engine/testing/generate.ts';
import type { Engine } from '../../gpu-backend/src/engine/types.ts';
import { createLog } from '../../gpu-backend/src/server/log.ts';
import { startVllmEngine } from '../../gpu-backend/src/vllm/engine.ts';
import { createKey } from '../../src/dev/dev-key.ts';
import { type NodeProcess, startNode } from '../../src/dev/node-process.ts';
import { startWorker } from '../../src/dev/worker-host.ts';
import { ask as askEdge, inParallel, isComplete, prompts, type Told } from '../fleet/migration.ts';

const url = process.env.HUOZI_UPSTREAM ?? '';
/** Apart by less than this, the two best tokens of a row are rounding's to choose between: natural logarithms. */
const nearTie = 0.05;

const heldOut = fileURLToPath(new URL('../../gpu-backend/models/huozi-tiny/heldout.jsonl', import.meta.url));

function questions(): string[] {
  const lines = readFileSync(heldOut, 'utf8').trim().split('\n');
  const all = lines.map((line) => {
    const { messages } = JSON.parse(line) as { messages: { role: string; content: string }[] };
    return messages.find(({ role }) => role === 'user')!.content;
  });
  return [...new Set(all)];
}

async function answers(engine: Engine, asked: readonly string[]): Promise<Answer[]> {
  const told: Answer[] = [];
  let next = 0;
  const worker = async () => {
    while (next < asked.length) {
      const at = next++;
      const promptIds = ask(engine, asked[at]!);
      told[at] = await start(engine, { promptIds, sampling: greedy, maxTokens: 96, logprobs: 2 }).answer;
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return told;
}

/** The distance of the two best tokens where two answers part. */
function marginAt(answer: Answer, at: number): number {
  const told = [
    ...answer.events.flatMap(({ details }) => details?.logprobs ?? []),
    ...(answer.details?.logprobs ?? []),
  ];
  const [best, second] = told[at]?.top_logprobs ?? [];
  return best && second ? best.logprob - second.logprob : Number.NaN;
}

async function agree(most: number): Promise<boolean> {
  const options = { slots: 8, contextTokens: 8192, batchTokens: 256, threads: 1, gpuLayers: 0 };
  const ours = await loadEngine({ modelPath: tinyModel, ...options });
  const theirs = await startVllmEngine({
    ...{ modelPath: tinyModel, log: createLog('silent') },
    upstream: { url },
  });
  try {
    const all = questions();
    const step = Math.max(1, Math.floor(all.length / most));
    const asked = all.filter((_, i) => i % step === 0).slice(0, most);
    const [a, b] = [await answers(ours, asked), await answers(theirs as unknown as Engine, asked)];
    let same = 0;
    let explained = 0;
    const controls = new Set(Object.values(ours.info.tokens));
    let controlIds = 0;
    for (const [i, one] of a.entries()) {
      const other = b[i]!;
      // The last id may be the one that ended it.
      controlIds += other.ids.slice(0, -1).filter((id) => controls.has(id)).length;
      const at = one.ids.findIndex((id, k) => id !== other.ids[k]);
      if (at < 0 && one.ids.length === other.ids.length) {
        same++;
        continue;
      }
      const margins = [marginAt(one, at), marginAt(other, at)];
      const near = margins.some((margin) => margin < nearTie);
      if (near) explained++;
      process.stdout.write(
        `${JSON.stringify({ question: asked[i], at, margins: margins.map((m) => Number(m.toFixed(5))), near })}\n`,
      );
    }
    const share = same / asked.length;
    process.stdout.write(
      `${theirs.info.library.version}: ${same} of ${asked.length} greedy answers the same id by id ` +
        `(${(100 * share).toFixed(1)} %), ${explained} of ${asked.length - same} differences are near-ties; ` +
        `${controlIds} control ids inside of answers\n`,
    );
    return share >= 0.95 && explained === asked.length - same && controlIds === 0;
  } finally {
    await ours.close();
    await theirs.close();
  }
}

/** Its main process, which the node has started. */
function vllmOf(node: NodeProcess): number {
  const children = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(node.pid)], { encoding: 'utf8' });
  const line = children.split('\n').find((one) => one.includes(' serve '));
  if (!line) throw new Error(`node ${node.pid} has no vLLM`);
  return Number(line.trim().split(' ')[0]);
}

async function migrate(): Promise<boolean> {
  const secret = () => randomBytes(16).toString('hex');
  const [nodeToken, adminToken] = [secret(), secret()];
  const flags = ['--dtype', 'float32', '--enforce-eager', '--served-model-name', 'huozi'];
  const vllm = [
    '--engine',
    'vllm',
    '--model',
    process.env.HUOZI_HF!,
    '--engine-command',
    process.env.HUOZI_VLLM!,
  ];
  const vllmArgs = [...vllm, '--slots', '16', '--context', '4096', '--', ...flags];
  const nodes: NodeProcess[] = [];
  try {
    nodes.push(await startNode(nodeToken, vllmArgs), await startNode(nodeToken, vllmArgs));
    nodes.push(await startNode(nodeToken, ['--threads', '1']));
    const worker = await startWorker({
      port: 0,
      bindings: {
        NODE_URLS: nodes.map((node) => node.url).join(','),
        NODE_TOKEN: nodeToken,
        KEY_SECRET: secret(),
        ADMIN_TOKEN: adminToken,
      },
      onLog: () => undefined,
    });
    try {
      const { key } = await createKey(worker.url, adminToken, { name: 'migration' });
      const edge = { baseURL: `${worker.url}/v1`, apiKey: key };
      const asked = prompts(24);
      const fields = { temperature: 0, max_tokens: 160, ignore_eos: true };
      const calm: Told[] = [];
      await inParallel(asked, 6, async (question, i) => {
        calm[i] = await askEdge(edge, question, fields, () => undefined);
      });
      let begun = 0;
      const disturbed: Told[] = [];
      await inParallel(asked, 6, async (question, i) => {
        disturbed[i] = await askEdge(edge, question, fields, () => {
          // The second one amid the answers that the first one's are gone to.
          if (++begun === 6 || begun === 12) process.kill(vllmOf(nodes[begun / 6 - 1]!), 'SIGKILL');
        });
      });
      const complete = disturbed.filter(isComplete).length;
      const same = disturbed.filter(({ text }, i) => text === calm[i]!.text).length;
      const migrations = disturbed.reduce((sum, told) => sum + told.migrations, 0);
      process.stdout.write(
        `2 vLLM killed amid ${asked.length} answers of 160 tokens, on 2 nodes of vLLM and 1 of llama.cpp: ` +
          `${complete} complete, ${migrations} migrations, ${same} byte for byte as undisturbed\n`,
      );
      for (const told of disturbed) if (!isComplete(told)) process.stdout.write(`${JSON.stringify(told)}\n`);
      return complete === asked.length && migrations > 0;
    } finally {
      await worker.stop();
    }
  } finally {
    await Promise.all(nodes.map((node) => node.stop(40_000)));
  }
}

const right =
  process.argv[2] === 'migrate'
    ? await migrate()
    : await agree(Number(process.argv[3] ?? Number.POSITIVE_INFINITY));
process.exitCode = right ? 0 : 1;
