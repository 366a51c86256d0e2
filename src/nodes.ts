/**
 * The nodes of the configuration and what they last said of themselves. Read from memory on the request path;
 * asked again in the background, so that only an isolate's first request waits for it.
 */
import type { NodeInfo } from 'huozi-gpu-backend/protocol';
import type { Call } from './call.ts';
import { EdgeError } from './errors.ts';
import { type NodeAddress, nodeInfo } from './node-api.ts';

export interface KnownNode extends NodeAddress {
  /** The last that it said; undefined when it never answered. */
  info: NodeInfo | undefined;
  /** Whether it answered when it was last asked. */
  up: boolean;
}

/** Milliseconds after which nodes are asked again. */
const freshMs = 5_000;
/** A client who names a model that is not known makes the edge ask at most this often. */
const askForUnknownMs = 1_000;

interface Snapshot {
  configuration: string;
  askedAt: number;
  nodes: KnownNode[];
}

/** An isolate's memory. Plain values only: workerd lets no request wait for another one's promise. */
let snapshot: Snapshot | undefined;

/** Every configured node, with what is known of it. */
export async function knownNodes(call: Call, maxAgeMs?: number): Promise<KnownNode[]> {
  const { env } = call;
  const configuration = `${env.NODE_URLS}\n${env.NODE_TOKEN}`;
  const current = snapshot?.configuration === configuration ? snapshot : undefined;
  const age = current ? call.startedAt - current.askedAt : Number.POSITIVE_INFINITY;
  const known = current?.nodes.some((node) => node.info) ?? false;
  if (!current || !known || age > (maxAgeMs ?? Number.POSITIVE_INFINITY)) {
    const nodes = await ask(current?.nodes ?? configuredNodes(call));
    snapshot = { configuration, askedAt: Date.now(), nodes };
    return nodes;
  }
  if (age > freshMs) {
    current.askedAt = call.startedAt;
    call.waitUntil(
      ask(current.nodes).then((nodes) => {
        snapshot = { configuration, askedAt: Date.now(), nodes };
      }),
    );
  }
  return current.nodes;
}

/** The nodes that serve `model`. Throws an EdgeError when there is none. */
export async function nodesServing(call: Call, model: string): Promise<KnownNode[]> {
  const serve = (nodes: KnownNode[]) => nodes.filter((node) => node.info?.model === model);
  const found = serve(await knownNodes(call));
  if (found.length > 0) return found;
  const nodes = await knownNodes(call, askForUnknownMs);
  const foundNow = serve(nodes);
  if (foundNow.length > 0) return foundNow;
  if (nodes.some((node) => node.info)) throw new EdgeError({ kind: 'model_not_found', model });
  throw new EdgeError({ kind: 'no_node_available', retryAfter: 5 }, 'no node says what it serves');
}

function ask(nodes: KnownNode[]): Promise<KnownNode[]> {
  return Promise.all(
    nodes.map(async (node) => {
      const info = await nodeInfo(node);
      return { ...node, info: info ?? node.info, up: info !== undefined };
    }),
  );
}

function configuredNodes({ env }: Call): KnownNode[] {
  const urls = (env.NODE_URLS ?? '').split(',').map((url) => url.trim().replace(/\/+$/, ''));
  const usable = urls.filter((url) => /^https?:\/\/[^/?#@\s]+(\/[^?#\s]*)?$/.test(url));
  if (usable.length === 0 || usable.length < urls.filter(Boolean).length || !env.NODE_TOKEN) {
    throw new EdgeError({ kind: 'edge_misconfigured' }, 'NODE_URLS or NODE_TOKEN is missing or malformed');
  }
  return usable.map((url) => ({ url, token: env.NODE_TOKEN, info: undefined, up: false }));
}
