/**
 * `npm run bench -- affinity`: conversations of several turns on four nodes, prefix affinity beside round robin. Shapes
 * are those of the simulator (test/simulate/workload.ts): system prompts that conversations share, or none, MT-Bench-zh's
 * questions, answers of some hundred tokens, which the model really gives, so that they are in its node's cache.
 *
 * Both policies run in turn on the same nodes, with the same shapes and texts of their own, so that neither finds what
 * the other has cached. Think times are cut short, and what huozi-tiny's context does not hold is left out.
 */
import { randomBytes } from 'node:crypto';
import { createKey } from '../../src/dev/dev-key.ts';
import { startNode } from '../../src/dev/node-process.ts';
import { startWorker } from '../../src/dev/worker-host.ts';
import { conversation, seeded } from '../simulate/workload.ts';
import { median } from './load.ts';
import { record } from './results.ts';

const nodeCount = 4;
const conversations = 8;
const width = 4;
/** Of huozi-tiny's 4,096, with room for the markers. */
const longest = 3_800;
const thinkMs = 300;

interface Way {
  url: string;
  key: string;
  ttfts: number[];
  promptTokens: number;
  cachedTokens: number;
}

interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

/** Text of about so many tokens of huozi-tiny, the same for the same seed. */
function textOf(tokens: number, seed: number): string {
  const random = seeded(seed);
  const characters =
    '春眠不觉晓处处闻啼鸟夜来风雨声花落知多少床前明月光疑是地上霜举头望低思故乡白日依山尽黄河入海流欲穷千里目更上一层楼';
  return Array.from({ length: tokens }, () => characters[Math.floor(random() * characters.length)]).join('');
}

async function answer(way: Way, messages: Message[], tokens: number): Promise<string> {
  const begin = performance.now();
  const response = await fetch(`${way.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${way.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'huozi',
      messages,
      temperature: 0,
      max_tokens: tokens,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  let body = '';
  let ttft = 0;
  const decoder = new TextDecoder();
  for await (const bytes of response.body!) {
    body += decoder.decode(bytes, { stream: true });
    if (ttft === 0 && body.includes('data: ')) ttft = performance.now() - begin;
  }
  way.ttfts.push(ttft);
  let text = '';
  for (const [, json] of body.matchAll(/^data: (\{.*)$/gm)) {
    const { choices, usage, error } = JSON.parse(json!);
    if (error) throw new Error(error.code);
    text += choices[0]?.delta.content ?? '';
    way.promptTokens += usage?.prompt_tokens ?? 0;
    way.cachedTokens += usage?.prompt_tokens_details?.cached_tokens ?? 0;
  }
  return text;
}

async function converse(way: Way, id: number, round: number, salt: number): Promise<void> {
  const { blockTokens, turns, answerTokens } = conversation(id, seeded(1000 * round + id));
  const messages: Message[] = [];
  let tokens = 0;
  // Who shares an application shares its prompt: there are three here.
  const [system] = blockTokens as [number];
  if (system > 1) messages.push({ role: 'system', content: textOf(system, salt + (id % 3)) });
  tokens += system;
  for (let turn = 0; turn < turns; turn++) {
    const question = blockTokens[turn + 1]! - (turn === 0 ? 0 : answerTokens[turn - 1]!);
    tokens += question + answerTokens[turn]!;
    if (tokens > longest) return;
    messages.push({ role: 'user', content: textOf(question, salt + 7919 * (id + 1) + turn) });
    messages.push({ role: 'assistant', content: await answer(way, messages, answerTokens[turn]!) });
    await new Promise((resolve) => setTimeout(resolve, thinkMs));
  }
}

async function run(way: Way, round: number, salt: number): Promise<void> {
  let next = 0;
  const user = async () => {
    for (let id = next++; id < conversations; id = next++) await converse(way, id, round, salt);
  };
  await Promise.all(Array.from({ length: width }, user));
}

/** No round begins after that: on a busy machine one takes minutes. */
const longestMs = 180_000;

/** @param rounds of both policies, in turn, as many as there is time for */
export async function benchAffinity(rounds: number): Promise<void> {
  const nodeToken = randomBytes(16).toString('hex');
  const stops: (() => Promise<void>)[] = [];
  try {
    const nodes = await Promise.all(
      Array.from({ length: nodeCount }, async () => {
        const args = ['--threads', '1', '--slots', '4', '--context', '16384', '--log-level', 'error'];
        const node = await startNode(nodeToken, args);
        stops.push(() => node.stop());
        return node.url;
      }),
    );
    const ways = await Promise.all(
      ['affinity', 'round-robin'].map(async (routing) => {
        const { way, stop } = await startEdge(routing, nodes, nodeToken);
        stops.push(stop);
        return way;
      }),
    );
    await measure(ways as [Way, Way], rounds);
  } finally {
    await Promise.all(stops.map((stop) => stop()));
  }
}

async function startEdge(routing: string, nodes: string[], nodeToken: string) {
  const adminToken = randomBytes(16).toString('hex');
  const worker = await startWorker({
    port: 0,
    bindings: {
      NODE_URLS: nodes.join(','),
      NODE_TOKEN: nodeToken,
      KEY_SECRET: randomBytes(16).toString('hex'),
      ADMIN_TOKEN: adminToken,
      ROUTING: routing,
    },
  });
  const { key } = await createKey(worker.url, adminToken, { name: 'bench' });
  const way: Way = { url: worker.url, key, ttfts: [], promptTokens: 0, cachedTokens: 0 };
  return { way, stop: worker.stop };
}

/** Records the medians of the rounds' medians: what disturbs the machine disturbs a round, and both ways of it. */
async function measure([ours, peer]: [Way, Way], rounds: number): Promise<void> {
  const medians: [number, number][] = [];
  const until = Date.now() + longestMs;
  for (let round = 0; round < rounds && (round === 0 || Date.now() < until); round++) {
    for (const [at, way] of [ours, peer].entries()) {
      way.ttfts = [];
      await run(way, round, 1_000_000 * (2 * round + at + 1));
    }
    medians.push([median(ours.ttfts), median(peer.ttfts)]);
    const told = medians
      .at(-1)!
      .map((ms) => `${ms.toFixed(0)} ms`)
      .join(' beside ');
    process.stderr.write(`affinity, round ${round + 1} of ${rounds}: ttft p50 ${told}\n`);
  }
  const bench = `${nodeCount} nodes, conversations`;
  const against = 'round robin';
  const [first, second] = [0, 1].map((at) => median(medians.map((pair) => pair[at]!)));
  record({ bench, metric: 'ttft p50', ours: first!, peer: second!, against, unit: 'ms' });
  const cached = ({ cachedTokens, promptTokens }: Way) => (100 * cachedTokens) / promptTokens;
  record({
    bench,
    metric: 'cached of the prompts',
    ours: cached(ours),
    peer: cached(peer),
    against,
    unit: '%',
  });
}
