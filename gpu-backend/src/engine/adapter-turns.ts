/**
 * Which adapter the next step runs under. llama.cpp puts an adapter on a whole batch, so sequences of different ones
 * take turns; each turn is a few steps, because a change makes llama.cpp plan its graph anew.
 */
export class AdapterTurns {
  readonly #turnMs: number;
  #current = 0;
  #since = 0;

  constructor(turnMs: number) {
    this.#turnMs = turnMs;
  }

  /**
   * @param wanted adapters of the sequences that could step, in any order and repeated
   * @param now on any clock, ms
   */
  next(wanted: Iterable<{ adapter: number }>, now: number): number {
    let isWanted = false;
    // The next higher one, else the lowest: all come round.
    let higher = Number.POSITIVE_INFINITY;
    let lowest = Number.POSITIVE_INFINITY;
    for (const { adapter } of wanted) {
      if (adapter === this.#current) isWanted = true;
      else {
        if (adapter > this.#current && adapter < higher) higher = adapter;
        if (adapter < lowest) lowest = adapter;
      }
    }
    const other = higher < Number.POSITIVE_INFINITY ? higher : lowest;
    if (other === Number.POSITIVE_INFINITY || (isWanted && now - this.#since < this.#turnMs)) {
      return this.#current;
    }
    this.#current = other;
    this.#since = now;
    return other;
  }
}
