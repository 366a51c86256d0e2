/** One after another, in the order of asking. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #asked = 0;

  /** Somebody has theirs: who asks now waits. */
  get taken(): boolean {
    return this.#asked > 0;
  }

  /** @throws what `work` throws; the signal's reason, where it is aborted before its turn, which is then passed over */
  take(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    this.#asked++;
    const turn = this.#last
      .then(() => {
        signal.throwIfAborted();
        return work();
      })
      .finally(() => {
        this.#asked--;
      });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
