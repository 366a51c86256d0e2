/**
 * The radix tree of the prefix cache: token ids on its edges, and at each node who holds the KV cells up to there. What
 * may be evicted, and what is promised to whom, is prefix-cache.ts's.
 */

/** A running sequence's place in the tree. */
export interface Lease {
  /** llama.cpp's sequence id. */
  id: number;
  /** Tokens by position; what is not yet evaluated means nothing. */
  readonly tokens: Int32Array;
  /** Prompt tokens that were there already. */
  readonly cached: number;
  /** KV cells that it may come to use, shared ones included. */
  readonly cells: number;
  node: Node;
}

export interface Node {
  readonly tenant: string;
  parent: Node | undefined;
  readonly children: Map<number, Node>;
  /** Its tokens are `tokens[from, to)`. */
  tokens: Int32Array;
  from: number;
  to: number;
  /** Tokens from the root to its end. */
  depth: number;
  /** Running sequences attached here or below. */
  users: number;
  /** Those attached here. */
  readonly leases: Lease[];
  /** The id that keeps the cells of a leaf nobody runs on; -1 elsewhere. */
  holder: number;
  lastUse: number;
}

export function newNode(
  tenant: string,
  parent: Node | undefined,
  tokens: Int32Array,
  from: number,
  to: number,
): Node {
  const children = new Map<number, Node>();
  return {
    tenant,
    parent,
    children,
    tokens,
    from,
    to,
    depth: 0,
    users: 0,
    leases: [],
    holder: -1,
    lastUse: 0,
  };
}

/** The root of a tenant's tree. */
export function newRoot(tenant: string): Node {
  return newNode(tenant, undefined, new Int32Array(0), 0, 0);
}

/** @returns where the shared part ends: `within` tokens into `node`, and whether somebody runs on that node */
export function find(root: Node, tokens: Int32Array, limit: number) {
  let node = root;
  let within = 0;
  for (;;) {
    const depth = node.depth;
    if (depth >= limit) break;
    const child = node.children.get(tokens[depth] as number);
    if (!child) break;
    node = child;
    within = commonLength(child, tokens, depth, limit);
    if (within < child.to - child.from) break;
  }
  return { node, within, depth: node.depth - (node.to - node.from) + within, users: node.users };
}

/** Cuts a node after `within` tokens. @returns the new upper part */
export function split(node: Node, within: number): Node {
  const middle = node.from + within;
  const upper = newNode(node.tenant, node.parent, node.tokens, node.from, middle);
  upper.depth = node.depth - (node.to - middle);
  upper.users = node.users;
  upper.lastUse = node.lastUse;
  node.parent?.children.set(node.tokens[node.from] as number, upper);
  upper.children.set(node.tokens[middle] as number, node);
  node.parent = upper;
  node.from = middle;
  return upper;
}

/** A sequence that has all the cells from the root to the end of `node`. */
export function holderOf(node: Node): number {
  for (let at = node; ; ) {
    if (at.holder >= 0) return at.holder;
    for (const { id } of at.leases) if (id >= 0) return id;
    const [below] = at.children.values();
    if (!below) return -1;
    at = below;
  }
}

/** How many tokens of `node`, which begins at position `depth`, are those of `tokens` up to `limit`. */
export function commonLength(node: Node, tokens: Int32Array, depth: number, limit: number): number {
  const most = Math.min(node.to - node.from, limit - depth);
  let length = 0;
  while (length < most && node.tokens[node.from + length] === tokens[depth + length]) length++;
  return length;
}
