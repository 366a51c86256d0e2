/** Answers that go on at the other engine when theirs is killed: vLLM's at llama.cpp's and the other way round. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { huoziMarkers } from '../../gpu-backend/src/string-prompt.ts';
import { createKey } from '../../src/dev/dev-key.ts';
import { type NodeProcess, startNode } from '../../src/dev/node-process.ts';
import { startWorker, type WorkerHost } from '../../src/dev/worker-host.ts';
import { ask, heldOut, inParallel, isComplete, prompts, type Told } from '../fleet/migration.ts';
import { alternatives, parting, shown } from './partings.ts';

const answers = 24;
/** Each engine is killed so often in each kind of answers. */
const rounds = 2;

interface Engine {
  name: string;
  node: NodeProcess;
  /** What tells its process from the others that the node has started. */
  args: string;
  /** Killed when so many of all answers have begun: llama.cpp's begin, and end, before vLLM's. */
  after: number;
}

interface Edge {
  baseURL: string;
  apiKey: string;
  worker: WorkerHost;
  adminToken: string;
}

/** Single questions of the model's own kind whose answers are long and end by themselves. */
function longQuestions(): string[] {
  return readFileSync(heldOut, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { messages: { content: string }[]; answer: string })
    .filter(({ messages }) => messages.length === 1)
    .sort((a, b) => b.answer.length - a.answer.length)
    .slice(0, answers)
    .map(({ messages }) => messages[0]!.content);
}

function kill({ name, node, args }: Engine): void {
  const children = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(node.pid)], { encoding: 'utf8' });
  const line = children.split('\n').find((one) => one.includes(args));
  if (!line) throw new Error(`the node of ${name} has no such process`);
  process.kill(Number(line.trim().split(' ')[0]), 'SIGKILL');
}

/** Until both are up again and the edge sends to both. */
async function settled(edge: Edge): Promise<void> {
  const headers = { authorization: `Bearer ${edge.adminToken}` };
  for (;;) {
    const response = await fetch(`${edge.worker.url}/admin/nodes`, { headers });
    const { data } = (await response.json()) as { data: { up: boolean; breaker: { state: string } }[] };
    if (data.every(({ up, breaker }) => up && breaker.state === 'closed')) return;
    // What closes a breaker is an answer; one too many does no harm.
    await ask(edge, '你好', { max_tokens: 1 }, () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function askAll(
  edge: Edge,
  asked: readonly string[],
  fields: object,
  onBegun: (begun: number, ended: number) => void,
): Promise<Told[]> {
  let [begun, ended] = [0, 0];
  const told: Told[] = [];
  await inParallel(asked, asked.length, async (question, i) => {
    told[i] = await ask(edge, question, fields, () => onBegun(++begun, ended));
    ended++;
  });
  return told;
}

/** @returns whether all went on, and, where it must be, every difference from the undisturbed answers is a near-tie */
async function disturb(
  edge: Edge,
  engine: Engine,
  asked: readonly string[],
  fields: object,
  calm: readonly Told[],
  mustBeNear: boolean,
): Promise<boolean> {
  let running = 0;
  const told = await askAll(edge, asked, fields, (begun, ended) => {
    if (begun !== engine.after) return;
    running = begun - ended;
    kill(engine);
  });
  let [same, near] = [0, 0];
  for (const [i, { tokens, text }] of told.entries()) {
    const part = parting(calm[i]!.tokens, tokens, huoziMarkers.end);
    if (!part && text === calm[i]!.text) same++;
    else {
      if (part?.near) near++;
      process.stdout.write(`  ${asked[i]}: ${part ? shown(part) : 'the same tokens, another text'}\n`);
    }
  }
  const complete = told.filter(isComplete).length;
  const migrations = told.reduce((sum, one) => sum + one.migrations, 0);
  process.stdout.write(
    `${engine.name} killed amid ${running} running answers: ${complete} of ${asked.length} complete, ` +
      `${migrations} migrations, ${same} the same as undisturbed, ${near} of ${asked.length - same} differences near-ties\n`,
  );
  for (const one of told) if (!isComplete(one)) process.stdout.write(`  ${JSON.stringify(one)}\n`);
  return complete === asked.length && migrations > 0 && (!mustBeNear || near === asked.length - same);
}

async function runRounds(edge: Edge, engines: readonly Engine[]): Promise<boolean> {
  const told = { temperature: 0, logprobs: true, top_logprobs: alternatives };
  let right = true;
  for (const [kind, asked, fields, mustBeNear] of [
    ['natural ends', longQuestions(), { ...told, max_tokens: 96 }, true],
    // Where the model was trained on nothing the engines part without a kill, and by more than rounding: told, not judged.
    ['160 tokens, past their ends', prompts(answers), { ...told, max_tokens: 160, ignore_eos: true }, false],
  ] as const) {
    process.stdout.write(`${kind}:\n`);
    const calm = await askAll(edge, asked, fields, () => undefined);
    for (let round = 0; round < rounds; round++) {
      for (const engine of engines) {
        right = (await disturb(edge, engine, asked, fields, calm, mustBeNear)) && right;
        await settled(edge);
      }
    }
  }
  return right;
}

/**
 * @param vllm the program
 * @param weights huozi-tiny as a Hugging Face folder
 */
export async function migrate(vllm: string, weights: string): Promise<boolean> {
  const secret = () => randomBytes(16).toString('hex');
  const [nodeToken, adminToken] = [secret(), secret()];
  const flags = ['--dtype', 'float32', '--enforce-eager', '--served-model-name', 'huozi'];
  const serve = ['--engine', 'vllm', '--model', weights, '--engine-command', vllm];
  const started: NodeProcess[] = [];
  const node = async (args: readonly string[]) => {
    const one = await startNode(nodeToken, args);
    started.push(one);
    return one;
  };
  try {
    const theirs = await node([...serve, '--slots', '32', '--context', '4096', '--', ...flags]);
    const ours = await node(['--threads', '1', '--slots', '32', '--context', '16384']);
    const worker = await startWorker({
      port: 0,
      bindings: {
        NODE_URLS: started.map(({ url }) => url).join(','),
        NODE_TOKEN: nodeToken,
        KEY_SECRET: secret(),
        ADMIN_TOKEN: adminToken,
        // Half to each.
        ROUTING: 'round-robin',
      },
      onLog: () => undefined,
    });
    try {
      const { key } = await createKey(worker.url, adminToken, { name: 'migration' });
      return await runRounds({ baseURL: `${worker.url}/v1`, apiKey: key, worker, adminToken }, [
        { name: 'vLLM', node: theirs, args: ' serve ', after: (3 * answers) / 4 },
        { name: 'llama.cpp', node: ours, args: 'engine-process', after: answers / 4 },
      ]);
    } finally {
      await worker.stop();
    }
  } finally {
    await Promise.all(started.map((one) => one.stop(40_000)));
  }
}
