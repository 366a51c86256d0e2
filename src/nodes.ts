/**
 * The nodes, configured or announced, and what they last said of themselves. Read from memory on the request path;
 * asked again in the background, so that only an isolate's first request waits for it.
 */
import type { NodeInfo } from 'huozi-gpu-backend/protocol';
import type { Call } from './call.ts';
import { EdgeError } from './errors.ts';
import { fleetObject } from './fleet/fleet-api.ts';
import { type NodeAddress, nodeInfo } from './node-api.ts';
import { hashText } from './routing/prefix-keys.ts';

export interface KnownNode extends NodeAddress {
  /** The last that it said; undefined when it never answered. */
  info: NodeInfo | undefined;
  /** Whether it was heard when it was last to be. */
  up: boolean;
  /** Prefixes that it says it holds, see routing/prefix-keys.ts. */
  prefixes: ReadonlySet<number>;
  /** Places it among the others, see routing/policy.ts. */
  hash: number;
  /** Requests that this isolate sent it since it said all that. */
  sent: number;
}

/** Milliseconds after which nodes are asked again: what routing knows is not much older. */
const freshMs = 1_000;
/** What nobody has asked about for so long is no longer worth routing by; the request waits for news. */
const staleMs = 15_000;
/** A client who names a model that is not known makes the edge ask at most this often. */
const askForUnknownMs = 1_000;

interface Snapshot {
  configuration: string;
  askedAt: number;
  nodes: KnownNode[];
}

/** An isolate's memory. Plain values only: workerd lets no request wait for another one's promise. */
let snapshot: Snapshot | undefined;

/** Since when some request has been asking the nodes for all that wait; undefined when none is. */
let askingSince: number | undefined;
/** One that takes longer has been given up by its client: nodes and fleet answer sooner, or not at all. */
const askingMs = 2_500;
const lookAgainMs = 10;

/** Every configured and announced node, with what is known of it. */
export async function knownNodes(call: Call, maxAgeMs = staleMs): Promise<KnownNode[]> {
  const { env } = call;
  const configuration = `${env.NODE_URLS}\n${env.NODE_TOKEN}`;
  const current = snapshot?.configuration === configuration ? snapshot : undefined;
  const now = Date.now();
  const age = current ? now - current.askedAt : Number.POSITIVE_INFINITY;
  const known = current?.nodes.some((node) => node.info) ?? false;
  if (!current || !known || age > maxAgeMs) {
    if (askingSince !== undefined && now - askingSince < askingMs) {
      const told = await answerOfAnother(configuration, askingSince);
      if (told) return told;
    }
    return askNow(call, configuration, current?.nodes ?? []);
  }
  if (age > freshMs) {
    current.askedAt = now;
    call.waitUntil(
      ask(call, current.nodes).then((nodes) => {
        snapshot = { configuration, askedAt: Date.now(), nodes };
      }),
    );
  }
  return current.nodes;
}

/** Names a node to who needs not know where it is. */
export function nodeId({ hash }: KnownNode): string {
  return hash.toString(16).padStart(8, '0');
}

/** What clients may ask of a node: its model, and each adapter on it as `model:adapter`. */
export function namesOf({ model, adapters = [] }: NodeInfo): string[] {
  return [model, ...adapters.map((adapter) => `${model}:${adapter}`)];
}

export function isServedBy(info: NodeInfo, name: string): boolean {
  return info.model === name || namesOf(info).includes(name);
}

/** The adapter's part of a name that nodes serve, for a node of that model; undefined for the model alone. */
export function adapterOf(info: NodeInfo, name: string): string | undefined {
  return info.model === name ? undefined : name.slice(info.model.length + 1);
}

/** Names of models may have colons too; those of adapters have none. */
export const parentOf = (name: string): string => name.slice(0, name.lastIndexOf(':'));

async function askNow(call: Call, configuration: string, before: readonly KnownNode[]): Promise<KnownNode[]> {
  const since = Date.now();
  askingSince = since;
  try {
    const asking = ask(call, before);
    // Others wait for it, so it goes on when this one's client leaves.
    call.waitUntil(asking.catch(() => undefined));
    const nodes = await asking;
    snapshot = { configuration, askedAt: Date.now(), nodes };
    return nodes;
  } finally {
    if (askingSince === since) askingSince = undefined;
  }
}

/** What a thousand first requests of an isolate shall not ask at once. Undefined when nothing came of it. */
async function answerOfAnother(configuration: string, since: number): Promise<KnownNode[] | undefined> {
  while (askingSince === since && Date.now() - since < askingMs) {
    await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
  }
  const isNew = snapshot?.configuration === configuration && snapshot.askedAt >= since;
  return isNew ? snapshot?.nodes : undefined;
}

/**
 * The nodes that serve `model`, all of them as one thing: what is a model's whole name on one node and a model with an
 * adapter on another would be two, of which the whole name is meant. Throws an EdgeError when there is none.
 */
export async function nodesServing(call: Call, model: string): Promise<KnownNode[]> {
  const serve = (nodes: KnownNode[]) => {
    const whole = nodes.filter(({ info }) => info?.model === model);
    return whole.length > 0 ? whole : nodes.filter(({ info }) => info && isServedBy(info, model));
  };
  const found = serve(await knownNodes(call));
  if (found.length > 0) return found;
  const nodes = await knownNodes(call, askForUnknownMs);
  const foundNow = serve(nodes);
  if (foundNow.length > 0) return foundNow;
  if (nodes.some((node) => node.info)) throw new EdgeError({ kind: 'model_not_found', model });
  throw new EdgeError({ kind: 'no_node_available', retryAfter: 5 }, 'no node says what it serves');
}

async function ask(call: Call, before: readonly KnownNode[]): Promise<KnownNode[]> {
  const { env } = call;
  const configured = configuredUrls(call);
  const [asked, announced] = await Promise.all([
    Promise.all(configured.map((url) => askOne({ url, token: env.NODE_TOKEN }, before))),
    // Without its object's answer the edge goes on with the nodes that it had.
    fleetObject(env)
      .members()
      .catch(() => undefined),
  ]);
  const others =
    announced?.map(({ url, info }) => known({ url, token: env.NODE_TOKEN }, info, true)) ?? before;
  return [...asked, ...others.filter(({ url }) => !configured.includes(url))];
}

async function askOne(address: NodeAddress, before: readonly KnownNode[]): Promise<KnownNode> {
  const info = await nodeInfo(address);
  const last = before.find(({ url }) => url === address.url)?.info;
  return known(address, info ?? last, info !== undefined);
}

function known(address: NodeAddress, info: NodeInfo | undefined, up: boolean): KnownNode {
  const prefixes = decodePrefixes(info?.prefixes);
  return { ...address, info, up, prefixes, hash: hashText(0, address.url), sent: 0 };
}

/** Base64 of uint32, little-endian. What is not that says nothing. */
function decodePrefixes(base64: unknown): ReadonlySet<number> {
  if (typeof base64 !== 'string') return new Set();
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return new Set(new Uint32Array(bytes.buffer, 0, bytes.length >> 2));
  } catch {
    return new Set();
  }
}

/** None is right where nodes announce themselves. */
function configuredUrls({ env }: Call): string[] {
  const urls = (env.NODE_URLS ?? '').split(',').map((url) => url.trim().replace(/\/+$/, ''));
  const named = urls.filter(Boolean);
  const usable = named.filter((url) => /^https?:\/\/[^/?#@\s]+(\/[^?#\s]*)?$/.test(url));
  if (usable.length < named.length || !env.NODE_TOKEN) {
    throw new EdgeError({ kind: 'edge_misconfigured' }, 'NODE_URLS is malformed or NODE_TOKEN is missing');
  }
  return usable;
}

/** Nodes that answered lately first, and among them a start that spreads requests. `start` is in [0, 1). */
export function inTurn(nodes: readonly KnownNode[], start: number): KnownNode[] {
  const turned = (some: KnownNode[]) => {
    const at = Math.floor(start * some.length);
    return [...some.slice(at), ...some.slice(0, at)];
  };
  return [...turned(nodes.filter((node) => node.up)), ...turned(nodes.filter((node) => !node.up))];
}
