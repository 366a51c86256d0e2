/**
 * Many answers for a long time, while nodes are killed, hang and drain, and clients leave, cut their streams and resume
 * them. Run by the test for some seconds; by hand:
 *
 *     npx tsx --conditions=huozi-source test/fleet/soak.ts --minutes 30
 *
 * Every answer is greedy and of a known prompt, so that each token can be compared with the undisturbed run's.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startFleet, type TestFleet } from './fleet.ts';
import { type Asked, ask, kinds, prompts, type Truth } from './soak-client.ts';

export interface Soak {
  minutes: number;
  answers: number;
  /** By what the client did. */
  done: Record<string, number>;
  kills: Record<string, number>;
  migrations: number;
  retries: number;
  /** Nodes that had to be started twice, by what had gone wrong. */
  trouble: Record<string, number>;
  /** Answers that were not the undisturbed run's, or whose counters are not what the client saw; in words. */
  wrong: string[];
  /** Errors that a client saw, by code. */
  errors: Record<string, number>;
  /** The key's own usage beside the sum of what was logged, answer by answer. */
  usage: { counted: Counters; logged: Counters };
  /** Least squares over the second half, MiB a minute; and how much there was in the end, MiB. */
  memory: Record<string, { slope: number; last: number }>;
}

interface Counters {
  requests: number;
  prompt_tokens: number;
  completion_tokens: number;
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

/** @param onSample gets what is known so far, every few seconds */
export async function soak(
  { minutes, nodes, width, killSeconds }: Settings,
  onSample?: (soFar: Soak) => void,
): Promise<Soak> {
  const fleet = await startFleet(nodes, {
    nodeArgs: ['--slots', '8', '--log-level', 'error', '--drain-timeout', '5'],
  });
  // It lives from the beginning to the end: whose memory would show a leak.
  const eldest = fleet.nodes[0]!;
  const outcome: Soak = {
    minutes,
    answers: 0,
    done: {},
    kills: {},
    trouble: {},
    migrations: 0,
    retries: 0,
    wrong: [],
    errors: {},
    usage: { counted: none(), logged: none() },
    memory: {},
  };
  const count = (counts: Record<string, number>, name: string) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  let over = false;
  const samples: { at: number; workerd: number; node: number; own: number }[] = [];
  const timers: NodeJS.Timeout[] = [];
  const replaced: Promise<unknown>[] = [];
  const lines = new Lines(fleet.edgeLog);
  try {
    const truths: Truth[] = [];
    for (const prompt of prompts(40)) {
      const told = await ask(fleet, 'stream', { prompt });
      lines.settled.set(told.requestId, told);
      truths.push({ prompt, text: told.text, usage: told.usage! });
      outcome.answers++;
    }
    const endsAt = Date.now() + minutes * 60_000;
    timers.push(
      setInterval(
        () => {
          samples.push({
            at: Date.now(),
            workerd: residentMiB(process.pid, 'workerd'),
            node: residentMiB(eldest.pid),
            own: process.memoryUsage().rss / 2 ** 20,
          });
          lines.read();
          onSample?.(outcome);
        },
        Math.min(5_000, minutes * 1_500),
      ),
      setInterval(() => {
        const others = fleet.nodes.filter((node) => node !== eldest);
        if (fleet.nodes.length < nodes || others.length < 2) return;
        const signal = (['SIGKILL', 'SIGKILL', 'SIGSTOP', 'SIGTERM'] as const)[
          Math.floor(Math.random() * 4)
        ]!;
        const victim = others[Math.floor(Math.random() * others.length)]!;
        fleet.kill(victim, signal);
        count(outcome.kills, signal);
        if (signal === 'SIGSTOP') setTimeout(() => victim.process.kill('SIGKILL'), hangMs);
        // Asking whether the edge knows it may hit a connection that was just closed.
        replaced.push(
          fleet.add().catch((error: Error) => {
            count(outcome.trouble, error.message);
            return fleet.add();
          }),
        );
      }, killSeconds * 1_000),
    );
    const client = async () => {
      while (Date.now() < endsAt && !over) {
        const truth = truths[Math.floor(Math.random() * truths.length)]!;
        const kind = kinds[Math.floor(Math.random() * kinds.length)]!;
        const told = await ask(fleet, kind, truth).catch((error: Error) => {
          outcome.wrong.push(
            `${kind}: ${error.message} ${(error.cause as Error | undefined)?.message ?? ''}`,
          );
          return undefined;
        });
        outcome.answers++;
        count(outcome.done, kind);
        if (!told) continue;
        lines.settled.set(told.requestId, told);
        if (told.error) count(outcome.errors, told.error);
        const fault = faultOf(told, truth);
        if (fault) outcome.wrong.push(`${kind} ${told.requestId}: ${fault}`);
      }
    };
    await Promise.all(Array.from({ length: width }, client));
    for (const timer of timers) clearInterval(timer);
    await Promise.all(replaced);
    // What a client has left is counted when its node has said so.
    outcome.usage.counted = await settledUsage(fleet, outcome.answers);
    lines.read();
    outcome.wrong.push(...lines.wrong, ...lines.missing());
    outcome.usage.logged = lines.sum;
    outcome.migrations = lines.migrations;
    outcome.retries = lines.retries;
    for (const what of ['workerd', 'node', 'own'] as const) {
      const half = samples.slice(samples.length >> 1);
      const points = half.map(({ at, [what]: mib }): [number, number] => [at / 60_000, mib]);
      outcome.memory[what] = { slope: slopeOf(points), last: Math.round(half.at(-1)?.[what] ?? 0) };
    }
    return outcome;
  } finally {
    over = true;
    for (const timer of timers) clearInterval(timer);
    await Promise.allSettled(replaced);
    await fleet.stop();
  }
}

/** What is wrong with what a client was told; undefined: nothing. */
function faultOf(told: Asked, { text, usage }: Truth): string | undefined {
  if (told.left) return text.startsWith(told.text) ? undefined : `not a beginning: ${told.text}`;
  if (told.error) return `error ${told.error}`;
  if (told.text !== text) return `${told.text} instead of ${text}`;
  if (!told.done) return 'no end';
  if (
    told.usage?.completion_tokens !== usage.completion_tokens ||
    told.usage.prompt_tokens !== usage.prompt_tokens
  )
    return `usage ${JSON.stringify(told.usage)} instead of ${JSON.stringify(usage)}`;
  return undefined;
}

/** The edge's usage lines, each compared with what its client saw, then forgotten. */
class Lines {
  /** By request id: what a client saw whose line has not been read yet. */
  readonly settled = new Map<string, Asked>();
  readonly wrong: string[] = [];
  readonly sum = none();
  migrations = 0;
  retries = 0;
  readonly #log: string[];
  /** Lines that came before their client was done. */
  #early: string[] = [];

  constructor(log: string[]) {
    this.#log = log;
  }

  read(): void {
    const lines = [...this.#early, ...this.#log.splice(0)];
    this.#early = [];
    for (const line of lines) {
      if (!line.includes('"event":"usage"')) continue;
      const { request_id, prompt_tokens, completion_tokens, migrations, retries } = JSON.parse(line);
      const told = this.settled.get(request_id);
      if (!told) {
        this.#early.push(line);
        continue;
      }
      this.settled.delete(request_id);
      this.sum.requests++;
      this.sum.prompt_tokens += prompt_tokens;
      this.sum.completion_tokens += completion_tokens;
      this.migrations += migrations;
      this.retries += retries;
      const seen = told.usage;
      if (seen && (seen.completion_tokens !== completion_tokens || seen.prompt_tokens !== prompt_tokens))
        this.wrong.push(`${request_id}: ${JSON.stringify(seen)} was told, ${line} counted`);
      if (told.left && completion_tokens < told.tokens)
        this.wrong.push(`${request_id}: left after ${told.tokens} tokens, ${line} counted`);
    }
  }

  missing(): string[] {
    const none = [...this.settled.keys()].map((id) => `${id}: never counted`);
    return [...none, ...this.#early.map((line) => `counted, but nobody asked or twice: ${line}`)];
  }
}

function none(): Counters {
  return { requests: 0, prompt_tokens: 0, completion_tokens: 0 };
}

async function settledUsage(fleet: TestFleet, requests: number): Promise<Counters> {
  for (let tries = 0; ; tries++) {
    const response = await fetch(`${fleet.baseURL}/usage`, {
      headers: { authorization: `Bearer ${fleet.apiKey}` },
    });
    const { data } = (await response.json()) as { data: [Counters] };
    const { requests: counted, prompt_tokens, completion_tokens } = data[0];
    if (counted >= requests || tries > 300) return { requests: counted, prompt_tokens, completion_tokens };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Of a process and all its children; of those of that name alone, where one is given. */
function residentMiB(root: number, name?: string): number {
  const parents = new Map<number, number>();
  const stats = new Map<number, { comm: string; pages: number }>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const end = stat.lastIndexOf(')');
      const fields = stat.slice(end + 2).split(' ');
      parents.set(Number(entry), Number(fields[1]));
      stats.set(Number(entry), { comm: stat.slice(stat.indexOf('(') + 1, end), pages: Number(fields[21]) });
    } catch {
      // It has ended meanwhile.
    }
  }
  const isOurs = (pid: number): boolean => pid === root || (parents.has(pid) && isOurs(parents.get(pid)!));
  let pages = 0;
  for (const [pid, { comm, pages: own }] of stats) if (isOurs(pid) && (!name || comm === name)) pages += own;
  return (pages * 4096) / 2 ** 20;
}

function slopeOf(points: readonly [number, number][]): number {
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  const variance = points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
  return variance === 0 ? 0 : Number((covariance / variance).toFixed(2));
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
  const outcome = await soak(settings, ({ answers, kills, wrong, errors }) => {
    process.stderr.write(
      `${JSON.stringify({ at: new Date(), answers, kills, wrong: wrong.length, last: wrong.at(-1), errors })}\n`,
    );
  });
  process.stdout.write(`${JSON.stringify(outcome, null, 1)}\n`);
  process.exitCode = outcome.wrong.length > 0 ? 1 : 0;
}
