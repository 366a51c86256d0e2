/** What a token costs here, measured: moving averages over the last steps, milliseconds of the whole engine. */

/** Weight of one step. */
const smoothing = 0.1;

export class Throughput {
  #decode = 0;
  #prefill = 0;
  #answer = 0;

  /** One step: how long it took, and tokens of running answers and of prompts in it. */
  step(ms: number, decodeTokens: number, prefillTokens: number): void {
    if (prefillTokens === 0) {
      this.#decode = average(this.#decode, ms / decodeTokens);
      return;
    }
    // What a step takes beyond its decoding is the prompts'; never all of it, however slow that step was.
    const rest = Math.max(ms - this.#decode * decodeTokens, ms / 10);
    this.#prefill = average(this.#prefill, rest / prefillTokens);
  }

  /** An answer ended. */
  answered(tokens: number): void {
    this.#answer = average(this.#answer, tokens);
  }

  /** Tokens of an answer, on average; 0 before the first. */
  get answerTokens(): number {
    return this.#answer;
  }

  /** 0 before anything was measured. */
  get prefillTokensPerSecond(): number {
    return this.#prefill === 0 ? 0 : 1000 / this.#prefill;
  }

  /** How long a usual answer holds its slot while so many run at the same time; 0 before the first. */
  answerSeconds(running: number): number {
    return (this.#answer * this.#decode * running) / 1000;
  }

  /** Milliseconds for so much work; 0 before anything was measured. */
  estimate(promptTokens: number, answerTokens: number): number {
    return this.#prefill * promptTokens + this.#decode * answerTokens;
  }
}

function average(old: number, value: number): number {
  return old === 0 ? value : old + smoothing * (value - old);
}
