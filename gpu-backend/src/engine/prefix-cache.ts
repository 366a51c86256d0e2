/**
 * Which KV cells hold what: a radix tree over token ids, one root a tenant, so that nobody's timing tells of another
 * tenant's prompts. A node's tokens are all evaluated, and have one KV cell each, however many sequences share it.
 *
 * A running sequence is attached to the node where its evaluated tokens end, or rather where those end that the tree
 * knows: its answer enters the tree when it is through. Every leaf is held by a llama.cpp sequence: by running ones
 * attached to it, or by the id that the last of them left behind. Leaves that nobody runs on are what can be evicted,
 * least recently used first, from their end backwards.
 *
 * Cells are promised at admission, so a running sequence never lacks any:
 * tree + Σ over running sequences (cells it may come to use − its depth in the tree) ≤ all cells.
 */

import {
  commonLength,
  find,
  holderOf,
  type Lease,
  type Node,
  newNode,
  newRoot,
  split,
} from './prefix-tree.ts';

/** What llama.cpp does with the cells of sequences; `to` -1 is the end. */
export interface SequenceMemory {
  removeCells(id: number, from: number, to: number): void;
  shareCells(source: number, target: number, from: number, to: number): void;
}

export interface PrefixCacheOptions {
  /** KV cells of all sequences. */
  cells: number;
  /** llama.cpp's sequence ids that may be used, more than run at the same time: the others hold cached prefixes. */
  ids: readonly number[];
  /** Off: nothing is shared and nothing stays. @default true */
  enabled?: boolean;
}

/** A cached prefix that nobody runs on. */
export interface CachedPrefix {
  tenant: string;
  tokens: Int32Array;
  id: number;
}

export class PrefixCache {
  readonly #memory: SequenceMemory;
  readonly #cells: number;
  readonly #enabled: boolean;
  readonly #freeIds: number[];
  readonly #roots = new Map<string, Node>();
  /** Leaves that nobody runs on. */
  readonly #idle = new Set<Node>();
  #tree = 0;
  /** Cells of nodes that somebody runs on. */
  #pinned = 0;
  /** Cells that running sequences may yet fill. */
  #promised = 0;
  #clock = 0;

  constructor(memory: SequenceMemory, { cells, ids, enabled = true }: PrefixCacheOptions) {
    this.#memory = memory;
    this.#cells = cells;
    this.#enabled = enabled;
    this.#freeIds = [...ids].reverse();
  }

  /** Cells that running sequences hold or may come to hold; shared ones count once. */
  get reserved(): number {
    return this.#pinned + this.#promised;
  }

  /** Cells that only wait for a request with the same beginning. */
  get idle(): number {
    return this.#tree - this.#pinned;
  }

  /** Tokens at the beginning of `tokens` whose KV is there, up to `limit`. */
  match(tenant: string, tokens: Int32Array, limit: number): number {
    const root = this.#roots.get(tenant);
    return root ? find(root, tokens, limit).depth : 0;
  }

  /**
   * Finds room for a sequence, evicting what is idle, and lets it share the longest prefix there is.
   * @param tokens prompt, with room for the answer behind it: `[cells]`
   * @param limit how many may be shared: at least the last token of a prompt must be evaluated
   * @returns undefined while there is no room
   */
  join(tenant: string, tokens: Int32Array, limit: number): Lease | undefined {
    const cells = tokens.length;
    const root = this.#roots.get(tenant) ?? newRoot(tenant);
    const found = find(root, tokens, this.#enabled ? limit : 0);
    let unpinned = found.users > 0 ? 0 : found.within;
    if (found.users === 0) {
      for (let node = found.node.parent; node && node.users === 0; node = node.parent)
        unpinned += node.to - node.from;
    }
    if (this.reserved + unpinned + cells - found.depth > this.#cells) return undefined;

    this.#roots.set(tenant, root);
    const node =
      found.within < found.node.to - found.node.from ? split(found.node, found.within) : found.node;
    const lease: Lease = { id: -1, tokens, cached: found.depth, cells, node };
    node.leases.push(lease);
    this.#promised += cells - node.depth;
    this.#pin(node);
    if (node.holder >= 0) {
      // The prefix as a whole belongs to nobody else: its id changes hands.
      lease.id = node.holder;
      node.holder = -1;
      this.#idle.delete(node);
    }
    this.#makeRoom();
    if (lease.id < 0) this.#acquireId(lease);
    return lease;
  }

  /** Puts the tokens that were evaluated in the meantime, up to position `end`, where others find them. */
  grow(lease: Lease, end: number): void {
    if (!this.#enabled) return;
    while (lease.node.depth < end) {
      const { node, tokens } = lease;
      const child = node.children.get(tokens[node.depth] as number);
      if (child) this.#descend(lease, child, end);
      else this.#append(lease, end);
    }
  }

  /** The sequence is through. What it evaluated up to position `end` stays as a cached prefix. */
  leave(lease: Lease, end: number): void {
    this.grow(lease, end);
    const { id, node, tokens, cells } = lease;
    this.#promised -= cells - node.depth;
    node.leases.splice(node.leases.indexOf(lease), 1);
    this.#unpin(node, tokens);
    if (node.children.size > 0 || node.leases.length > 0 || node.depth === 0) {
      this.#memory.removeCells(id, 0, -1);
      this.#freeIds.push(id);
      this.#prune(node);
      return;
    }
    this.#memory.removeCells(id, node.depth, -1);
    node.holder = id;
    this.#idle.add(node);
  }

  /**
   * Takes in a prefix from elsewhere, if there is room without evicting anything.
   * @param load fills the sequence's cells
   */
  async restore(
    tenant: string,
    tokens: Int32Array,
    load: (id: number) => Promise<boolean>,
  ): Promise<boolean> {
    if (!this.#enabled || this.#tree + this.#promised + tokens.length > this.#cells) return false;
    if (this.#freeIds.length === 0) return false;
    const lease = this.join(tenant, tokens, 0) as Lease;
    const loaded = await load(lease.id);
    this.leave(lease, loaded ? tokens.length : 0);
    return loaded;
  }

  /** Evicts everything that nobody runs on. */
  clear(): void {
    for (let leaf = this.#oldest(); leaf; leaf = this.#oldest()) this.#remove(leaf);
  }

  /** What is cached and idle, most recently used first. */
  prefixes(): CachedPrefix[] {
    return [...this.#idle]
      .sort((a, b) => b.lastUse - a.lastUse)
      .map((leaf) => {
        const tokens = new Int32Array(leaf.depth);
        for (let node: Node | undefined = leaf; node; node = node.parent)
          tokens.set(node.tokens.subarray(node.from, node.to), node.depth - (node.to - node.from));
        return { tenant: leaf.tenant, tokens, id: leaf.holder };
      });
  }

  #pin(node: Node): void {
    this.#clock++;
    for (let at: Node | undefined = node; at; at = at.parent) this.#pinOne(at);
  }

  #pinOne(node: Node): void {
    node.lastUse = this.#clock;
    if (node.users++ === 0) this.#pinned += node.to - node.from;
  }

  #unpin(from: Node, tokens: Int32Array): void {
    this.#clock++;
    for (let node: Node | undefined = from; node; node = node.parent) {
      node.lastUse = this.#clock;
      if (--node.users === 0) this.#pinned -= node.to - node.from;
      // The sequence's own array is as long as its answer might have been.
      if (node.tokens === tokens) {
        node.tokens = tokens.slice(node.from, node.to);
        node.to -= node.from;
        node.from = 0;
      }
    }
  }

  /** The next tokens are in the tree already, evaluated by another: that one's cells replace its own. */
  #descend(lease: Lease, child: Node, end: number): void {
    const { id, node, tokens } = lease;
    const { depth } = node;
    const within = commonLength(child, tokens, depth, end);
    const next = within < child.to - child.from ? split(child, within) : child;
    this.#memory.removeCells(id, depth, depth + within);
    this.#memory.shareCells(holderOf(next), id, depth, depth + within);
    node.leases.splice(node.leases.indexOf(lease), 1);
    next.leases.push(lease);
    lease.node = next;
    this.#promised -= within;
    this.#pinOne(next);
    if (next.holder >= 0) {
      this.#memory.removeCells(next.holder, 0, -1);
      this.#freeIds.push(next.holder);
      next.holder = -1;
      this.#idle.delete(next);
    }
  }

  #append(lease: Lease, end: number): void {
    const { node, tokens } = lease;
    const { depth } = node;
    const own = node.tokens === tokens && node.users === 1 && node.to === depth && node.children.size === 0;
    if (own) {
      node.to = end;
      node.depth = end;
    } else {
      const child = newNode(node.tenant, node, tokens, depth, end);
      child.depth = end;
      child.users = 1;
      child.lastUse = node.lastUse;
      node.children.set(tokens[depth] as number, child);
      node.leases.splice(node.leases.indexOf(lease), 1);
      child.leases.push(lease);
      lease.node = child;
    }
    this.#tree += end - depth;
    this.#pinned += end - depth;
    this.#promised -= end - depth;
  }

  #makeRoom(): void {
    for (;;) {
      const lacking = this.#tree + this.#promised - this.#cells;
      const leaf = lacking > 0 ? this.#oldest() : undefined;
      if (!leaf) return;
      const length = leaf.to - leaf.from;
      if (lacking >= length) this.#remove(leaf);
      else this.#shorten(leaf, lacking);
    }
  }

  #shorten(leaf: Node, by: number): void {
    leaf.to -= by;
    leaf.depth -= by;
    this.#tree -= by;
    this.#memory.removeCells(leaf.holder, leaf.depth, -1);
  }

  #acquireId(lease: Lease): void {
    if (this.#freeIds.length === 0) {
      for (let leaf = this.#oldest(); leaf; leaf = this.#remove(leaf));
      // That leaf may have been the only holder of the very prefix: then its id, cut short, is here already.
      if (lease.id >= 0) return;
    }
    const source = holderOf(lease.node);
    lease.id = this.#freeIds.pop() as number;
    if (lease.node.depth > 0) this.#memory.shareCells(source, lease.id, 0, lease.node.depth);
  }

  #oldest(): Node | undefined {
    let oldest: Node | undefined;
    for (const leaf of this.#idle) if (!oldest || leaf.lastUse < oldest.lastUse) oldest = leaf;
    return oldest;
  }

  /** Evicts an idle leaf. @returns its parent, if that is now an idle leaf, held by the same id */
  #remove(leaf: Node): Node | undefined {
    const { parent, holder: id } = leaf as Node & { parent: Node };
    this.#idle.delete(leaf);
    this.#tree -= leaf.to - leaf.from;
    parent.children.delete(leaf.tokens[leaf.from] as number);
    const bare = parent.children.size === 0;
    const heir = bare ? parent.leases.find((lease) => lease.id < 0) : undefined;
    if (heir && parent.leases.length === 1) {
      this.#memory.removeCells(id, parent.depth, -1);
      heir.id = id;
      return undefined;
    }
    if (bare && parent.users === 0 && parent.depth > 0) {
      this.#memory.removeCells(id, parent.depth, -1);
      parent.holder = id;
      this.#idle.add(parent);
      return parent;
    }
    this.#memory.removeCells(id, 0, -1);
    this.#freeIds.push(id);
    this.#prune(parent);
    return undefined;
  }

  /** A tenant of whom nothing is left is forgotten. */
  #prune(node: Node): void {
    if (!node.parent && node.users === 0 && node.children.size === 0) this.#roots.delete(node.tenant);
  }
}
