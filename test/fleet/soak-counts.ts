/** Whether everybody who counts has counted what the clients saw: the edge's log, its usage, and the nodes' metrics. */
import type { NodeProcess } from '../../src/dev/node-process.ts';
import type { TestFleet } from './fleet.ts';
import { type Asked, faultOf, isSame, type Truth, type Usage } from './soak-client.ts';

export interface Counters extends Usage {
  requests: number;
  retries: number;
  migrations: number;
}

export function none(): Counters {
  return { requests: 0, prompt_tokens: 0, completion_tokens: 0, retries: 0, migrations: 0 };
}

interface UsageLine extends Usage {
  request_id: string;
  node: string | null;
  source: 'stream' | 'node' | 'counted';
  retries: number;
  migrations: number;
}

/** The edge's usage lines, each compared with what its client saw, then forgotten. */
export class Lines {
  readonly wrong: string[] = [];
  readonly sum = none();
  /** What each node is said to have answered. */
  readonly byNode = new Map<string, Omit<Counters, 'retries' | 'migrations'>>();
  /** Nodes whose own count may be larger, because an answer of theirs went on elsewhere or they were not heard. */
  readonly unsure = new Set<string>();
  /** By request id: what a client saw whose line has not been read yet. */
  readonly #settled = new Map<string, { told: Asked; truth: Truth }>();
  /** Lines that came before their client was done. */
  #early: UsageLine[] = [];
  /** What else the edge said of a request, until it is known to be right. */
  readonly #stories = new Map<string, string[]>();
  /** By node and request: its generations that ended, less what the edge laid to it; 0 is forgotten. */
  readonly #unlaid = new Map<string, number>();

  settle(told: Asked, truth: Truth): void {
    this.#settled.set(told.requestId, { told, truth });
  }

  /** @param line of a node's log */
  readNode(url: string, line: string): void {
    if (!line.includes('"generation ended"')) return;
    const { request_id } = JSON.parse(line) as { request_id: string };
    this.#lay(url, request_id, 1);
  }

  /** Requests that the node answered more often than the edge laid to it, or less often, with what the edge said. */
  unlaid(url: string): string[] {
    return [...this.#unlaid]
      .filter(([key]) => key.startsWith(`${url} `))
      .map(([key, times]) => `${key} ${times}: ${this.story(key.slice(url.length + 1))}`);
  }

  #lay(url: string, requestId: string, times: number): void {
    const key = `${url} ${requestId}`;
    const sum = (this.#unlaid.get(key) ?? 0) + times;
    if (sum === 0) this.#unlaid.delete(key);
    else this.#unlaid.set(key, sum);
  }

  /** @param log of the edge; it is emptied */
  read(log: string[]): void {
    const early = this.#early;
    this.#early = [];
    for (const line of log.splice(0)) {
      // What workerd itself says: a stack for each client that it could not write to any more, among others.
      if (!line.startsWith('{')) continue;
      const entry = JSON.parse(line) as { event: string; request_id?: string; node?: string | null };
      if (entry.request_id) this.#note(entry.request_id, line);
      if (entry.event === 'usage') early.push(entry as unknown as UsageLine);
      else if (entry.node) this.unsure.add(entry.node);
    }
    for (const line of early) {
      const known = this.#settled.get(line.request_id);
      if (known) this.#compare(line, known);
      else this.#early.push(line);
    }
  }

  /** What the edge said of a request, as far as it has been read. */
  story(requestId: string): string {
    return (this.#stories.get(requestId) ?? []).join(' ');
  }

  /** Requests without a line; whoever left at once may have left before anybody had heard of it. */
  get missing(): string[] {
    return [...this.#settled.values()]
      .filter(({ told }) => told.kind !== 'leave at once')
      .map(({ told }) => `${told.kind} ${told.requestId}: never counted`);
  }

  /** Those who left before the edge counted them. */
  get unheard(): number {
    return this.#settled.size - this.missing.length;
  }

  get unasked(): string[] {
    return this.#early.map((line) => `counted twice, or not asked: ${JSON.stringify(line)}`);
  }

  #note(requestId: string, line: string): void {
    const story = this.#stories.get(requestId);
    if (story) story.push(line);
    else this.#stories.set(requestId, [line]);
  }

  #compare(line: UsageLine, { told, truth }: { told: Asked; truth: Truth }): void {
    this.#settled.delete(line.request_id);
    const { node, source, prompt_tokens, completion_tokens, retries, migrations } = line;
    this.sum.requests++;
    this.sum.prompt_tokens += prompt_tokens;
    this.sum.completion_tokens += completion_tokens;
    this.sum.retries += retries;
    this.sum.migrations += migrations;
    if (node) {
      const of = this.byNode.get(node) ?? { requests: 0, prompt_tokens: 0, completion_tokens: 0 };
      of.requests++;
      of.prompt_tokens += prompt_tokens;
      of.completion_tokens += completion_tokens;
      this.byNode.set(node, of);
      this.#lay(node, line.request_id, -1);
      if (source === 'counted') this.unsure.add(node);
    }
    // Of a node that was killed with an answer that its client had left, only what the edge itself saw is known.
    const prompt = source === 'counted' && prompt_tokens === 0 ? 0 : truth.usage.prompt_tokens;
    const least = Math.max(told.tokens, told.ids.length);
    const right = told.done
      ? isSame(line, told.usage ?? truth.usage)
      : told.left &&
        prompt_tokens === prompt &&
        completion_tokens >= least &&
        completion_tokens <= truth.usage.completion_tokens;
    if (right && !faultOf(told, truth)) this.#stories.delete(told.requestId);
    if (!right)
      this.wrong.push(
        `${told.kind} ${told.requestId}: ${JSON.stringify(told)} was told, of ${JSON.stringify(truth.usage)}; counted: ${this.story(told.requestId)}`,
      );
  }
}

/** What a key has used, as its owner or, with the admin's token, its edge is told. */
export async function usageOf(
  { worker, apiKey, adminToken }: TestFleet,
  who: 'owner' | 'admin',
): Promise<Counters> {
  const [path, token] = who === 'owner' ? ['/v1/usage', apiKey] : ['/admin/usage', adminToken];
  const response = await fetch(`${worker.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  const { data } = (await response.json()) as { data: [Counters] };
  const { requests, prompt_tokens, completion_tokens, retries, migrations } = data[0];
  return { requests, prompt_tokens, completion_tokens, retries, migrations };
}

/** What a node itself has counted. */
export async function countedBy({ url }: NodeProcess, token: string): Promise<Counters> {
  const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  const text = await response.text();
  const total = (name: string) =>
    [...text.matchAll(new RegExp(`^huozi_${name}(?:\\{[^}]*\\})? (\\d+)$`, 'gm'))].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    );
  return {
    ...none(),
    requests: total('requests_finished_total'),
    prompt_tokens: total('prompt_tokens_total'),
    completion_tokens: total('generation_tokens_total'),
  };
}
