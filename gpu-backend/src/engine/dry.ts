/**
 * "Don't repeat yourself" (p-e-w, text-generation-webui #5677): a token that would go on a repetition of n tokens is
 * the less likely the longer the repetition is, by multiplier × base^(n − allowed length). Unlike the other penalties
 * it leaves words alone that merely occur again. A sequence breaker ends a repetition: what lies before it does not count.
 */
import type { Sampling } from '../protocol.ts';
import type { LogitChange } from './logit-change.ts';
import type { TokenPieces } from './token-pieces.ts';

type Settings = NonNullable<Sampling['dry']>;

const utf8 = new TextDecoder();
/** No logit comes back from there, and float32 still holds it. */
const most = 1e6;

export class Dry implements LogitChange {
  readonly #settings: Settings;
  readonly #pieces: TokenPieces;
  readonly #tokens: number[] = [];
  /** Tokens since the last one that a breaker ends in: no repetition is longer. */
  #unbroken = 0;
  /** The end of the text: a breaker may be spread over tokens. */
  #tail = '';
  #matches = new Int32Array(0);

  constructor(settings: Settings, prompt: Int32Array, pieces: TokenPieces) {
    this.#settings = settings;
    this.#pieces = pieces;
    for (const id of prompt) this.add(id);
  }

  add(id: number): void {
    this.#tokens.push(id);
    this.#unbroken = this.#breaks(id) ? 0 : this.#unbroken + 1;
  }

  apply(logits: Float32Array, offset: number): void {
    const { multiplier, base, allowed_length } = this.#settings;
    for (const [id, length] of this.#repetitions()) {
      logits[offset + id]! -= Math.min(multiplier * base ** (length - allowed_length), most);
    }
  }

  /**
   * The longest repetition that each token would go on, where it is long enough. The Z algorithm over the sequence read
   * backwards: linear in its length, however much it repeats itself, and nothing is done for a token but at its draw.
   */
  #repetitions(): Map<number, number> {
    const { allowed_length, last_n } = this.#settings;
    const longest = new Map<number, number>();
    if (this.#unbroken < allowed_length) return longest;
    const tokens = this.#tokens;
    const last = tokens.length - 1;
    const size = last_n === 0 ? tokens.length : Math.min(last_n, tokens.length);
    if (this.#matches.length < size) this.#matches = new Int32Array(2 * size);
    const matches = this.#matches;
    // Tokens from `back` on to before `end` are known to be those from the very end on.
    let back = 0;
    let end = 0;
    for (let at = 1; at < size; at++) {
      let length = at < end ? Math.min(end - at, matches[at - back] as number) : 0;
      while (at + length < size && tokens[last - length] === tokens[last - at - length]) length++;
      if (at + length > end) {
        back = at;
        end = at + length;
      }
      matches[at] = length;
      if (length < allowed_length) continue;
      const next = tokens[last - at + 1] as number;
      const counted = Math.min(length, this.#unbroken);
      if (counted > (longest.get(next) ?? 0)) longest.set(next, counted);
    }
    return longest;
  }

  /** Whether a breaker ends inside this token. */
  #breaks(id: number): boolean {
    const { sequence_breakers } = this.#settings;
    if (sequence_breakers.length === 0) return false;
    const before = this.#tail.length;
    const text = this.#tail + (this.#pieces.text(id) ?? utf8.decode(this.#pieces.bytes(id)));
    this.#tail = text.slice(-31);
    return sequence_breakers.some((breaker) => {
      const at = text.indexOf(breaker, Math.max(0, before - breaker.length + 1));
      return at >= 0;
    });
  }
}
