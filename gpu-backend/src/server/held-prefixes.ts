/**
 * Which prompts' beginnings are likely still in the prefix cache, by the numbers that the edge gave them: what it
 * routes by. The node cannot tell the numbers from tokens, so it forgets them as the cache does: those used least
 * recently, when they stand for more tokens than the cache has cells. A wrong guess costs a cache hit.
 */
const mostKeys = 1024;

export class HeldPrefixes {
  /** Key → prompt tokens when it was last used; least recently used first. */
  readonly #keys = new Map<number, number>();

  /**
   * @param keys from the shortest prefix to the longest, whose tokens `promptTokens` counts
   * @param cells of the cache
   */
  use(keys: readonly number[], promptTokens: number, cells: number): void {
    // A prefix is part of the longer ones: only the longest stands for tokens of its own.
    for (const [i, key] of keys.entries()) {
      this.#keys.delete(key);
      this.#keys.set(key, i === keys.length - 1 ? promptTokens : 0);
    }
    let tokens = 0;
    for (const held of this.#keys.values()) tokens += held;
    for (const [key, held] of this.#keys) {
      if (tokens <= cells && this.#keys.size <= mostKeys) break;
      this.#keys.delete(key);
      tokens -= held;
    }
  }

  /** As `NodeInfo.prefixes` has it. */
  toBase64(): string {
    return Buffer.from(Uint32Array.from(this.#keys.keys()).buffer).toString('base64');
  }
}
