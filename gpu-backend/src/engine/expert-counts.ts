import { entropy, imbalance } from '../expert-balance.ts';
import type { ExpertLayer } from '../protocol.ts';

/** How often the experts of one layer were chosen, alone and together. */
export class ExpertCounts {
  readonly #experts: number;
  readonly #counts: Float64Array;
  /** `[experts, experts]`, symmetric; an expert with itself is its count. */
  readonly #together: Float64Array;
  #tokens = 0;

  constructor(experts: number) {
    this.#experts = experts;
    this.#counts = new Float64Array(experts);
    this.#together = new Float64Array(experts * experts);
  }

  /** @param ids `[rows, used]` */
  add(ids: Uint8Array, rows: number, used: number): void {
    const experts = this.#experts;
    for (let begin = 0; begin < rows * used; begin += used) {
      for (let a = begin; a < begin + used; a++) {
        const first = ids[a] as number;
        this.#counts[first]!++;
        for (let b = begin; b < begin + used; b++) this.#together[first * experts + (ids[b] as number)]!++;
      }
    }
    this.#tokens += rows;
  }

  toJSON(): ExpertLayer {
    const experts = this.#experts;
    const counts = [...this.#counts];
    return {
      tokens: this.#tokens,
      counts,
      entropy: entropy(counts),
      imbalance: imbalance(counts),
      co_activation: Array.from({ length: experts }, (_, i) => [
        ...this.#together.subarray(i * experts, (i + 1) * experts),
      ]),
    };
  }
}
