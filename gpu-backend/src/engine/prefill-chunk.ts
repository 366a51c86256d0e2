/**
 * How many prompt tokens a step takes while others decode. They all wait for it, so the chunk bounds the gap between
 * their tokens; the smaller it is, the later the prompt is through. It follows what steps really take: an estimate
 * from small chunks would keep them small, since a step has a price of its own.
 */
const least = 32;

export class PrefillChunk {
  readonly #stepMs: number;
  readonly #most: number;
  #tokens: number;

  /**
   * @param stepMs what a step may take beyond its decoding, unless its decoding takes longer still
   * @param most tokens
   */
  constructor(stepMs: number, most: number) {
    this.#stepMs = stepMs;
    this.#most = most;
    this.#tokens = most;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** A step that had both. @param decodeMs what its decoding takes without the prompt */
  step(ms: number, decodeMs: number, promptTokens: number): void {
    const limit = decodeMs + Math.max(this.#stepMs, decodeMs);
    if (ms > limit) {
      const fitting = Math.floor((promptTokens * limit) / ms / least) * least;
      this.#tokens = Math.min(this.#most, Math.max(least, fitting));
    } else if (promptTokens >= this.#tokens) {
      this.#tokens = Math.min(this.#most, this.#tokens + Math.max(least, this.#tokens >> 2));
    }
  }
}
