/**
 * Which node a request goes to. Pure functions of the request and of what the nodes last said, so that the simulator
 * runs the very code that the edge runs (test/simulate; what it showed is in src/routing/README.md).
 */
import { homeKey, mix } from './prefix-keys.ts';

/** A node as routing sees it. Times are seconds, rates tokens per second. */
export interface Candidate {
  /** Of the node's name; 32 bits. Places it among the others for rendezvous hashing. */
  readonly hash: number;
  readonly slots: number;
  /** Sequences that run or wait there, our own newest included. */
  readonly load: number;
  /** Prompt tokens that wait for their prefill. */
  readonly queuedTokens: number;
  readonly prefillRate: number;
  /** How long an answer holds a slot. */
  readonly answerSeconds: number;
}

/** The nodes that may be asked, one or more. */
export interface Fleet {
  readonly nodes: readonly Candidate[];
  readonly meanLoad: number;
  /** Indices of those that say they have this prefix in their cache; undefined: nobody. */
  holders(key: number): readonly number[] | undefined;
}

export interface Asked {
  /** See prefix-keys.ts. */
  readonly keys: readonly number[];
  /** An estimate will do. */
  readonly promptTokens: number;
}

/** Index of the chosen node. `random` gives numbers in [0, 1). */
export type Policy = (asked: Asked, fleet: Fleet, random: () => number) => number;

/** What a request may wait longer at its home, for the sake of the turns that follow, than elsewhere. Seconds. */
const loyalty = 0.05;
/** A home with so many times the mean load is not asked, whatever it holds: what it said may be a second old. */
const loadBound = 2;

/** Expected seconds to the first token: prompts before it, a slot, its own prompt less what is cached. */
export function expectedTtft(node: Candidate, uncachedTokens: number): number {
  const waiting = Math.max(0, node.load + 1 - node.slots);
  const slotSeconds = (waiting / node.slots) * node.answerSeconds;
  return slotSeconds + (node.queuedTokens + uncachedTokens) / node.prefillRate;
}

/** Prompt tokens that a node has to evaluate, when it holds so many of the keys. Keys stand for equal shares. */
function uncached({ keys, promptTokens }: Asked, held: number): number {
  return promptTokens * (1 - held / (keys.length + 1));
}

/**
 * The policy of the edge: the node that holds the conversation, or its home by rendezvous hashing when none says that
 * it does, unless the better of two others answers sooner or the home is overloaded.
 */
export const affinity: Policy = (asked, fleet, random) => {
  const { nodes } = fleet;
  const holder = bestHolder(asked, fleet);
  const home = holder?.index ?? rendezvous(homeKey(asked.keys), nodes);
  const other = twoChoices(asked, fleet, random);
  if (other === home) return home;
  const { load, slots } = nodes[home]!;
  if (load >= slots && load > loadBound * fleet.meanLoad) return other;
  const stay = expectedTtft(nodes[home]!, uncached(asked, holder?.held ?? 0));
  const leave = expectedTtft(nodes[other]!, asked.promptTokens);
  return leave + loyalty < stay ? other : home;
};

/** The sooner of two at random ("the power of two choices": Mitzenmacher 2001). */
export const twoChoices: Policy = ({ promptTokens }, { nodes }, random) => {
  const first = Math.floor(random() * nodes.length);
  const second = Math.floor(random() * nodes.length);
  const sooner = expectedTtft(nodes[second]!, promptTokens) < expectedTtft(nodes[first]!, promptTokens);
  return sooner ? second : first;
};

export const leastLoaded: Policy = (_asked, { nodes }, random) => {
  let best = Math.floor(random() * nodes.length);
  for (let index = 0; index < nodes.length; index++) {
    if (nodes[index]!.load * nodes[best]!.slots < nodes[best]!.load * nodes[index]!.slots) best = index;
  }
  return best;
};

/** The conversation's home alone, however long the queue there. */
export const homeOnly: Policy = ({ keys }, { nodes }) => rendezvous(homeKey(keys), nodes);

export const atRandom: Policy = (_asked, { nodes }, random) => Math.floor(random() * nodes.length);

export function roundRobin(): Policy {
  let next = 0;
  return (_asked, { nodes }) => next++ % nodes.length;
}

/** Highest random weight: a node that joins or leaves moves only the keys that are its own (Thaler, Ravishankar 1998). */
export function rendezvous(key: number, nodes: readonly Candidate[]): number {
  let best = 0;
  let bestWeight = -1;
  for (let index = 0; index < nodes.length; index++) {
    const weight = mix(key ^ nodes[index]!.hash);
    if (weight > bestWeight) {
      best = index;
      bestWeight = weight;
    }
  }
  return best;
}

/** Who holds the longest prefix; among equals, who answers soonest. */
function bestHolder({ keys }: Asked, { nodes, holders }: Fleet): { index: number; held: number } | undefined {
  for (let held = keys.length; held > 0; held--) {
    const indices = holders(keys[held - 1]!);
    if (!indices || indices.length === 0) continue;
    // What comes first is often the same for many (a system prompt): then the conversation's home decides.
    if (held === 1 && keys.length > 1) return undefined;
    const [first, ...others] = indices as [number, ...number[]];
    const wait = (index: number) => expectedTtft(nodes[index]!, 0);
    return { index: others.reduce((best, index) => (wait(index) < wait(best) ? index : best), first), held };
  }
  return undefined;
}
