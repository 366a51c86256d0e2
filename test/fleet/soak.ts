/**
 * Many answers for a long time, while nodes are killed, hang and drain, and clients leave, cut their streams, resume and
 * stop them. Run by the test for some seconds; by hand:
 *
 *     npx tsx --conditions=huozi-source test/fleet/soak.ts --minutes 30
 *
 * Every answer is of a known prompt, greedy or from a seed, so that each token can be compared with the undisturbed
 * run's. Exits with 1 unless every token, every count and the memory are as they should be.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { NodeProcess } from '../../src/dev/node-process.ts';
import { WorkerHeap } from '../worker-heap.ts';
import { startFleet, type TestFleet } from './fleet.ts';
import { askInBackground } from './soak-background.ts';
import { type Asked, ask, faultOf, kinds, marginAt, nothing, questions, type Truth } from './soak-client.ts';
import { type Counters, countedBy, Lines, none, usageOf } from './soak-counts.ts';
import {
  type Growth,
  heldObjects,
  judgedMinutes,
  MemoryWatch,
  mostGrowth,
  processOf,
  residentMiB,
} from './soak-memory.ts';

export interface Soak {
  minutes: number;
  answers: number;
  /** By what the client did. */
  done: Record<string, number>;
  kills: Record<string, number>;
  /** Of the answers: those whose client left before the edge had heard of them. */
  unheard: number;
  /** Requests sent again on a new connection, see soak-client.ts. */
  reconnects: number;
  /** Whatever should not have been, in words; how near it was to rounding, and what the edge said of it. */
  wrong: string[];
  /** The key's usage: as its answers were logged, one by one; as its owner and the admin are told. */
  usage: Record<'logged' | 'owner' | 'admin', Counters>;
  /** Nodes that lived in the end: whether their own metrics had to be what the edge counted, or could be more. */
  nodes: { exact: number; more: number };
  memory: Record<string, Growth>;
  /** Durable Objects that workerd held at each weighing: without them its memory says little. */
  objects: number[];
}

interface Settings {
  minutes: number;
  nodes: number;
  /** Answers at the same time. */
  width: number;
  /** Between two nodes that are taken down. */
  killSeconds: number;
}

/** A node that hangs keeps its memory: so long it may. */
const hangMs = 10_000;
/** So long everything may take to be counted in the end: an expired lease, a report to the admin's directory. */
const countingMs = 60_000;

/** So often memory is judged in the whole time, in equal parts. */
const weighings = 32;

/** @param onSample gets what is known so far, every few seconds */
export async function soak(
  { minutes, nodes, width, killSeconds }: Settings,
  onSample?: (soFar: Soak, memory: Record<string, number>) => void,
): Promise<Soak> {
  const lines = new Lines();
  const fleet = await startFleet(nodes, {
    // Answers that can be resumed are kept so long. Their objects wake once more to forget them: with the ten minutes
    // that are usual workerd would hold more of them from the eleventh on.
    bindings: { STREAM_RETENTION_SECONDS: '15' },
    nodeArgs: ['--slots', '8', '--log-level', 'info', '--drain-timeout', '5'],
    inspected: true,
    onNodeLog: (url, line) => lines.readNode(url, line),
  });
  // It lives from the beginning to the end: whose memory would show a leak.
  const eldest = fleet.nodes[0]!;
  const outcome: Soak = {
    minutes,
    answers: 0,
    done: {},
    kills: {},
    unheard: 0,
    reconnects: 0,
    wrong: [],
    usage: { logged: none(), owner: none(), admin: none() },
    nodes: { exact: 0, more: 0 },
    memory: {},
    objects: [],
  };
  let heap: WorkerHeap | undefined;
  let heapMiB = 0;
  const memory = new MemoryWatch({
    'workerd: heap': () => heapMiB,
    workerd: () => residentMiB(process.pid, ({ name }) => name === 'workerd'),
    'node: server': () => residentMiB(eldest.pid, ({ pid }) => pid === eldest.pid),
    'node: engine': () => residentMiB(eldest.pid, ({ pid }) => pid !== eldest.pid),
    soak: () => process.memoryUsage().rss / 2 ** 20,
  });
  const disturbance = new Disturbance(fleet, { nodes, spared: eldest.pid, kills: outcome.kills });
  const suspects: { told: Asked; truth: Truth }[] = [];
  const timers: NodeJS.Timeout[] = [];
  let over = false;
  try {
    const truths: Truth[] = [];
    for (const question of questions(40)) {
      const told = await ask(fleet, 'stream', question);
      const truth = { ...question, text: told.text, ids: told.ids, usage: told.usage! };
      truths.push(truth);
      lines.settle(told, truth);
      outcome.answers++;
    }
    heap = await WorkerHeap.of(fleet.worker);
    const weigh = async () => {
      heapMiB = await heap!.collect();
      memory.sample();
      outcome.objects.push(heldObjects(processOf(process.pid, 'workerd')));
    };
    const weighOrTell = () => void weigh().catch((error) => outcome.wrong.push(`memory: ${describe(error)}`));
    await weigh();
    timers.push(
      setInterval(
        () => {
          lines.read(fleet.edgeLog);
          onSample?.(outcome, memory.look());
        },
        Math.min(5_000, minutes * 1_500),
      ),
      setInterval(weighOrTell, (minutes * 60_000) / weighings),
      setInterval(() => disturbance.strike(), killSeconds * 1_000),
    );
    const endsAt = Date.now() + minutes * 60_000;
    const client = async () => {
      while (Date.now() < endsAt && !over) {
        const truth = pick(truths);
        const kind = pick(kinds);
        const told = nothing(kind);
        outcome.answers++;
        outcome.done[kind] = (outcome.done[kind] ?? 0) + 1;
        const asked =
          kind === 'background' ? askInBackground(fleet, truth, told) : ask(fleet, kind, truth, told);
        await asked.catch((error) => told.faults.push(describe(error)));
        lines.settle(told, truth);
        outcome.reconnects += told.reconnects;
        const fault = faultOf(told, truth);
        if (!fault) continue;
        outcome.wrong.push(`${kind} ${told.requestId}: ${fault}`);
        suspects.push({ told, truth });
      }
    };
    await Promise.all(Array.from({ length: width }, client));
    for (const timer of timers) clearInterval(timer);
    await weigh();
    await disturbance.over();
    await count(fleet, lines, outcome);
    // Last, because these questions are counted, too.
    for (const { told, truth } of suspects) {
      const margin = await marginAt(fleet, told, truth).catch(describe);
      outcome.wrong.push(
        `${JSON.stringify(told)} left the truth at a margin of ${margin} nats: ${lines.story(told.requestId)}`,
      );
    }
    outcome.memory = memory.growth;
    if (minutes >= judgedMinutes) {
      for (const [name, { growth }] of Object.entries(outcome.memory))
        if (growth > mostGrowth) outcome.wrong.push(`${name} grows by ${growth} MiB a minute`);
    }
    return outcome;
  } finally {
    over = true;
    for (const timer of timers) clearInterval(timer);
    await disturbance.over().catch(() => undefined);
    heap?.close();
    await fleet.stop();
  }
}

/** Takes nodes down, one at a time, and puts others in their place. */
class Disturbance {
  readonly #fleet: TestFleet;
  readonly #options: { nodes: number; spared: number; kills: Record<string, number> };
  readonly #replaced: Promise<void>[] = [];
  #striking = false;

  constructor(fleet: TestFleet, options: { nodes: number; spared: number; kills: Record<string, number> }) {
    this.#fleet = fleet;
    this.#options = options;
  }

  /** Nothing happens as long as the last one's place is not taken. */
  strike(): void {
    const { nodes, spared } = this.#options;
    const others = this.#fleet.nodes.filter(({ pid }) => pid !== spared);
    if (this.#striking || this.#fleet.nodes.length < nodes || others.length < 2) return;
    this.#striking = true;
    const striking = this.#take(others).finally(() => {
      this.#striking = false;
    });
    this.#replaced.push(striking);
  }

  async #take(others: readonly NodeProcess[]): Promise<void> {
    const signal = pick(['SIGKILL', 'SIGKILL', 'SIGSTOP', 'SIGTERM'] as const);
    const victim = await this.#busyOne(others);
    this.#fleet.kill(victim, signal);
    this.#options.kills[signal] = (this.#options.kills[signal] ?? 0) + 1;
    if (signal === 'SIGSTOP') setTimeout(() => victim.process.kill('SIGKILL'), hangMs);
    await this.#fleet.add();
  }

  /** One that has answers under way; these are short, so that few would be lost with a node picked by chance. */
  async #busyOne(others: readonly NodeProcess[]): Promise<NodeProcess> {
    const headers = { authorization: `Bearer ${this.#fleet.nodeToken}` };
    for (let looks = 0; looks < 50; looks++) {
      const node = pick(others);
      const response = await fetch(`${node.url}/v1/node`, { headers }).catch(() => undefined);
      const { active } = ((await response?.json()) ?? { active: 0 }) as { active: number };
      if (active >= 2) return node;
    }
    return pick(others);
  }

  /** Settles when every place is taken. */
  async over(): Promise<void> {
    await Promise.all(this.#replaced);
  }
}

/**
 * Waits until all is counted, and compares who has counted what. That of clients who left at once the edge has nothing
 * more to count shows on the nodes alone: one may be at such an answer when everybody else is done.
 */
async function count(fleet: TestFleet, lines: Lines, outcome: Soak): Promise<void> {
  const until = Date.now() + countingMs;
  const { usage } = outcome;
  let nodes: Standing[];
  let isOver: boolean;
  do {
    await new Promise((resolve) => setTimeout(resolve, 250));
    nodes = await Promise.all(fleet.nodes.map((node) => standingOf(node, fleet.nodeToken, lines)));
    usage.owner = await usageOf(fleet, 'owner');
    usage.admin = await usageOf(fleet, 'admin');
    lines.read(fleet.edgeLog);
    const isRead =
      lines.missing.length === 0 && isSame(usage.owner, lines.sum) && isSame(usage.admin, lines.sum);
    isOver = isRead && nodes.every(({ wrong }) => !wrong);
  } while (Date.now() < until && !isOver);
  usage.logged = lines.sum;
  outcome.wrong.push(...lines.wrong, ...lines.missing, ...lines.unasked);
  outcome.unheard = lines.unheard;
  for (const who of ['owner', 'admin'] as const)
    if (!isSame(usage[who], lines.sum))
      outcome.wrong.push(
        `${who} was told ${JSON.stringify(usage[who])}, logged was ${JSON.stringify(lines.sum)}`,
      );
  if (lines.sum.requests + lines.unheard !== outcome.answers)
    outcome.wrong.push(
      `${outcome.answers} answers, but ${lines.sum.requests} counted and ${lines.unheard} unheard`,
    );
  for (const { isSure, wrong } of nodes) {
    outcome.nodes[isSure ? 'exact' : 'more']++;
    if (wrong) outcome.wrong.push(wrong);
  }
}

interface Standing {
  /** Whether it must have counted what the edge laid to it, and not more. */
  isSure: boolean;
  wrong: string | undefined;
}

async function standingOf(node: NodeProcess, token: string, lines: Lines): Promise<Standing> {
  const own = await countedBy(node, token);
  const edge = { ...none(), ...lines.byNode.get(node.url) };
  const isSure = !lines.unsure.has(node.url);
  const right = isSure ? isSame(own, edge) : own.completion_tokens >= edge.completion_tokens;
  const counts = `${node.url} counted ${JSON.stringify(own)}, the edge ${JSON.stringify(edge)}`;
  return { isSure, wrong: right ? undefined : `${counts}: ${lines.unlaid(node.url).join('; ')}` };
}

function isSame(one: Counters, other: Counters): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)]!;
}

function describe(error: Error): string {
  const cause = error.cause as (Error & { code?: string }) | undefined;
  return `${error.message} ${cause?.code ?? ''} ${cause?.message ?? ''}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '30' },
      nodes: { type: 'string', default: '4' },
      width: { type: 'string', default: '12' },
      kill: { type: 'string', default: '10' },
    },
  });
  const settings = {
    minutes: Number(values.minutes),
    nodes: Number(values.nodes),
    width: Number(values.width),
    killSeconds: Number(values.kill),
  };
  const outcome = await soak(settings, ({ answers, kills, wrong, reconnects, objects }, memory) => {
    const last = wrong.at(-1);
    process.stderr.write(
      `${JSON.stringify({ at: new Date(), answers, kills, reconnects, memory, objects: objects.at(-1), wrong: wrong.length, last })}\n`,
    );
  });
  process.stdout.write(`${JSON.stringify(outcome, null, 1)}\n`);
  process.exitCode = outcome.wrong.length > 0 ? 1 : 0;
}
