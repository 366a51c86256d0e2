/**
 * A fleet of nodes and its users, event by event, with the edge's own policies deciding. Time is simulated, and all
 * randomness comes from the seed. A node is a queue before `slots`, one prefill at a time (a batch shares one GPU),
 * and a cache of prefixes that forgets what was used least recently.
 */
import type { Candidate, Fleet, Policy } from '../../src/routing/policy.ts';
import { mix } from '../../src/routing/prefix-keys.ts';
import { Heap } from './heap.ts';
import { type Conversation, conversation, meanAnswerTokens, meanTurns, seeded } from './workload.ts';

export interface Setting {
  nodes: number;
  slots: number;
  /** Tokens a second. */
  prefillRate: number;
  /** Tokens a second of one answer. */
  decodeRate: number;
  /** Tokens of prefixes that a node's cache holds. */
  cacheTokens: number;
  /** Routing sees the nodes as they were at most so long ago. */
  snapshotSeconds: number;
  /** Edge isolates: each knows its own newest requests, the others' only through snapshots. */
  isolates: number;
  /** Share of the fleet's slots that the load fills on average. */
  utilisation: number;
  requests: number;
  seed: number;
}

export interface Outcome {
  requests: number;
  /** Share of prompt tokens that were in the cache. */
  hitRate: number;
  /** Seconds. */
  ttft: { p50: number; p99: number };
  /** Slot-seconds of the busiest node over those of the mean. */
  imbalance: number;
}

interface Request {
  conversation: Conversation;
  turn: number;
  arrived: number;
}

/** Who looks at the nodes now: an isolate, at a time. */
interface Viewer {
  isolate: number;
  now: number;
}

class SimulatedNode implements Candidate {
  readonly hash: number;
  readonly slots: number;
  readonly prefillRate: number;
  readonly answerSeconds: number;
  readonly queue: Request[] = [];
  running = 0;
  busySeconds = 0;
  prefillFreeAt = 0;
  readonly #index: number;
  readonly #setting: Setting;
  readonly #viewer: Viewer;
  readonly #holders: Map<number, number[]>;
  /** Key → tokens of its block, least recently used first. */
  readonly #cache = new Map<number, number>();
  #cachedTokens = 0;
  #seenAt = Number.NEGATIVE_INFINITY;
  #seenLoad = 0;
  #seenQueuedTokens = 0;
  readonly #sentSince: Int32Array;

  constructor(index: number, setting: Setting, viewer: Viewer, holders: Map<number, number[]>) {
    this.#index = index;
    this.#setting = setting;
    this.#viewer = viewer;
    this.#holders = holders;
    this.hash = mix(index + 1);
    this.slots = setting.slots;
    this.prefillRate = setting.prefillRate;
    this.answerSeconds = meanAnswerTokens / setting.decodeRate;
    this.#sentSince = new Int32Array(setting.isolates);
  }

  get load(): number {
    this.#look();
    return this.#seenLoad + this.#sentSince[this.#viewer.isolate]!;
  }

  get queuedTokens(): number {
    this.#look();
    return this.#seenQueuedTokens;
  }

  sent(): void {
    this.#sentSince[this.#viewer.isolate]!++;
  }

  /** Tokens of the prompt's blocks that are in the cache; afterwards they all are. */
  use(keys: readonly number[], blockTokens: readonly number[], count: number): number {
    let held = 0;
    let hit = true;
    for (let i = 0; i < count; i++) {
      const key = keys[i]!;
      const tokens = blockTokens[i]!;
      const had = this.#cache.delete(key);
      hit &&= had;
      if (hit) held += tokens;
      if (!had) {
        this.#cachedTokens += tokens;
        this.#hold(key);
      }
      this.#cache.set(key, tokens);
    }
    for (const [key, tokens] of this.#cache) {
      if (this.#cachedTokens <= this.#setting.cacheTokens) break;
      this.#cache.delete(key);
      this.#cachedTokens -= tokens;
      this.#drop(key);
    }
    return held;
  }

  #look(): void {
    if (this.#viewer.now - this.#seenAt < this.#setting.snapshotSeconds) return;
    this.#seenAt = this.#viewer.now;
    this.#seenLoad = this.running + this.queue.length;
    const prefillLeft = Math.max(0, this.prefillFreeAt - this.#viewer.now) * this.prefillRate;
    this.#seenQueuedTokens = prefillLeft;
    this.#sentSince.fill(0);
  }

  #hold(key: number): void {
    const indices = this.#holders.get(key);
    if (indices) indices.push(this.#index);
    else this.#holders.set(key, [this.#index]);
  }

  #drop(key: number): void {
    const indices = this.#holders.get(key)!;
    if (indices.length === 1) this.#holders.delete(key);
    else indices.splice(indices.indexOf(this.#index), 1);
  }
}

type Event = { request: Request } | { node: SimulatedNode; ended: Request };

export function simulate(policy: Policy, setting: Setting): Outcome {
  const random = seeded(setting.seed);
  const chance = seeded(setting.seed + 1);
  const viewer: Viewer = { isolate: 0, now: 0 };
  const holders = new Map<number, number[]>();
  const nodes = Array.from(
    { length: setting.nodes },
    (_, index) => new SimulatedNode(index, setting, viewer, holders),
  );
  let inFlight = 0;
  const fleet: Fleet = {
    nodes,
    get meanLoad() {
      return inFlight / nodes.length;
    },
    holders: (key) => holders.get(key),
  };
  const events = new Heap<Event>();
  const ttfts = new Float64Array(setting.requests);
  const answerSeconds = meanAnswerTokens / setting.decodeRate;
  const arrivalsPerSecond =
    (setting.utilisation * setting.nodes * setting.slots) / (answerSeconds * meanTurns);
  let served = 0;
  let arrivals = 0;
  let promptTokens = 0;
  let cachedTokens = 0;

  const arrive = (time: number) => {
    const newcomer = conversation(arrivals++, random);
    events.push(time, { request: { conversation: newcomer, turn: 0, arrived: time } });
  };
  const begin = (node: SimulatedNode, request: Request, now: number) => {
    const { conversation: spoken, turn } = request;
    const count = turn + 2;
    let prompt = 0;
    for (let i = 0; i < count; i++) prompt += spoken.blockTokens[i]!;
    const cached = node.use(spoken.keys, spoken.blockTokens, count);
    promptTokens += prompt;
    cachedTokens += cached;
    node.running++;
    node.prefillFreeAt = Math.max(now, node.prefillFreeAt) + (prompt - cached) / node.prefillRate;
    const first = node.prefillFreeAt + 1 / setting.decodeRate;
    ttfts[served++] = first - request.arrived;
    const end = first + spoken.answerTokens[turn]! / setting.decodeRate;
    node.busySeconds += end - now;
    events.push(end, { node, ended: request });
  };

  arrive(0);
  while (served < setting.requests) {
    const { time: now, item } = events.pop();
    viewer.now = now;
    if ('ended' in item) {
      const { node, ended } = item;
      node.running--;
      inFlight--;
      const next = node.queue.shift();
      if (next) begin(node, next, now);
      const { turns, thinkSeconds } = ended.conversation;
      const turn = ended.turn + 1;
      if (turn < turns) {
        const asked = now + thinkSeconds[ended.turn]!;
        events.push(asked, { request: { conversation: ended.conversation, turn, arrived: asked } });
      }
      continue;
    }
    const { request } = item;
    if (request.turn === 0) arrive(now - Math.log(1 - random()) / arrivalsPerSecond);
    viewer.isolate = Math.floor(chance() * setting.isolates);
    const { keys, blockTokens } = request.conversation;
    const sentKeys = keys.slice(0, request.turn + 2);
    const tokens = blockTokens.slice(0, request.turn + 2).reduce((sum, block) => sum + block, 0);
    const node = nodes[policy({ keys: sentKeys, promptTokens: tokens }, fleet, chance)]!;
    node.sent();
    inFlight++;
    if (node.running < node.slots) begin(node, request, now);
    else node.queue.push(request);
  }

  const sorted = ttfts.sort();
  const busy = nodes.map(({ busySeconds }) => busySeconds);
  return {
    requests: served,
    hitRate: cachedTokens / promptTokens,
    ttft: { p50: sorted[Math.floor(served * 0.5)]!, p99: sorted[Math.floor(served * 0.99)]! },
    imbalance: Math.max(...busy) / (busy.reduce((sum, seconds) => sum + seconds, 0) / busy.length),
  };
}
