/** Log-probabilities of the raw logits, before bias, penalties, grammar and temperature, as OpenAI and vLLM give them. */
import { depth, fallingExp } from './falling-exp.ts';
import type { TokenPieces } from './token-pieces.ts';
import type { TokenLogprob } from './types.ts';

/** What JSON can say of a token that cannot come. */
const least = -9999;

export class Logprobs {
  readonly #count: number;
  readonly #pieces: TokenPieces;
  #row: Float32Array | undefined;
  #told: TokenLogprob[] = [];

  /** @param count of alternatives told with each token */
  constructor(count: number, pieces: TokenPieces) {
    this.#count = count;
    this.#pieces = pieces;
  }

  /** Before anything changes the row. */
  keep(row: Float32Array): void {
    if (this.#row) this.#row.set(row);
    else this.#row = row.slice();
  }

  /** The token that was drawn from the row kept last. */
  add(id: number): void {
    const row = this.#row as Float32Array;
    const best = largest(row, Math.max(1, this.#count));
    const most = row[best[0] as number] as number;
    let mass = 0;
    for (const logit of row) {
      const below = most - logit;
      if (below < depth) mass += fallingExp(below);
    }
    const total = most + Math.log(mass);
    const entry = (token: number) => ({
      token: this.#pieces.label(token),
      logprob: Math.max(least, (row[token] as number) - total),
      bytes: this.#pieces.bytes(token).length === 0 ? null : [...this.#pieces.bytes(token)],
    });
    this.#told.push({ ...entry(id), top_logprobs: best.slice(0, this.#count).map(entry) });
  }

  /** Of the tokens since the last call. */
  take(): TokenLogprob[] {
    const told = this.#told;
    this.#told = [];
    return told;
  }
}

/** The ids of the `count` largest, the largest first; of equal ones the smaller id. */
function largest(row: Float32Array, count: number): number[] {
  const ids: number[] = [];
  let bar = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < row.length; id++) {
    const logit = row[id] as number;
    if (ids.length === count && !(logit > bar)) continue;
    let at = ids.length === count ? count - 1 : ids.length;
    while (at > 0 && logit > (row[ids[at - 1] as number] as number)) {
      ids[at] = ids[at - 1] as number;
      at--;
    }
    ids[at] = id;
    bar = row[ids[ids.length - 1] as number] as number;
  }
  return ids;
}
