import type { Sampling } from '../protocol.ts';
import type { LogitChange } from './logit-change.ts';

/**
 * Penalties as vLLM has them: repetition over prompt and answer (positive logits are divided, negative ones
 * multiplied), presence and frequency over the answer alone.
 */
export class Penalties implements LogitChange {
  readonly #sampling: Sampling;
  /** Ids of prompt and answer, each once: the only logits that change. */
  readonly #seen = new Set<number>();
  /** How often the answer holds each id. */
  readonly #answer = new Map<number, number>();

  /** undefined when every penalty is off, so that the usual request pays nothing. */
  static of(sampling: Sampling, prompt: Int32Array): Penalties | undefined {
    const { repetition_penalty, presence_penalty, frequency_penalty } = sampling;
    if (repetition_penalty === 1 && presence_penalty === 0 && frequency_penalty === 0) return undefined;
    return new Penalties(sampling, prompt);
  }

  private constructor(sampling: Sampling, prompt: Int32Array) {
    this.#sampling = sampling;
    if (sampling.repetition_penalty !== 1) for (const id of prompt) this.#seen.add(id);
  }

  add(id: number): void {
    this.#seen.add(id);
    this.#answer.set(id, (this.#answer.get(id) ?? 0) + 1);
  }

  apply(logits: Float32Array, offset: number): void {
    const { repetition_penalty, presence_penalty, frequency_penalty } = this.#sampling;
    for (const id of this.#seen) {
      let logit = logits[offset + id] ?? 0;
      logit = logit > 0 ? logit / repetition_penalty : logit * repetition_penalty;
      const count = this.#answer.get(id);
      if (count !== undefined) logit -= presence_penalty + frequency_penalty * count;
      logits[offset + id] = logit;
    }
  }
}
