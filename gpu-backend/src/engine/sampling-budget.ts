/**
 * When to look into a step, so that looking takes no more than a share of the time. A step looked into is longer by
 * what it exceeds the usual time of steps with as many tokens; steps that are not, earn the time for the next.
 */
export class SamplingBudget {
  readonly #share: number;
  /** What a look costs, ms: the last few measured, newest last. */
  readonly #costs: number[];
  readonly #least: number;
  /** Usual duration of a step by its tokens, ms. */
  readonly #usual = new Map<number, number>();
  #credit = 0;
  #spent = 0;
  #time = 0;

  /** @param guess what a look costs before any was measured, ms */
  constructor(share: number, guess: number) {
    this.#share = share;
    this.#costs = [guess];
    // A step that the machine happened to favour makes looking no cheaper.
    this.#least = guess / 10;
  }

  get isEarned(): boolean {
    return this.#credit >= this.#cost;
  }

  /** Share of all time that went into looking. */
  get spentShare(): number {
    return this.#time === 0 ? 0 : this.#spent / this.#time;
  }

  get #cost(): number {
    return this.#costs.reduce((sum, ms) => sum + ms, 0) / this.#costs.length;
  }

  plain(tokens: number, ms: number): void {
    this.#time += ms;
    const usual = this.#usual.get(tokens);
    // Prefill steps have any length: the most frequent lengths are decode's.
    if (usual !== undefined || this.#usual.size < 512)
      this.#usual.set(tokens, ms * 0.2 + (usual ?? ms) * 0.8);
    this.#credit = Math.min(this.#credit + ms * this.#share, 2 * this.#cost);
  }

  looked(tokens: number, ms: number): void {
    this.#time += ms;
    const usual = this.#usual.get(tokens);
    const cost = usual === undefined ? this.#cost : Math.max(this.#least, ms - usual);
    if (usual !== undefined) {
      this.#costs.push(cost);
      if (this.#costs.length > 16) this.#costs.shift();
    }
    this.#spent += cost;
    this.#credit -= cost;
  }
}
