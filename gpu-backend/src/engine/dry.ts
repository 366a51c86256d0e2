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
  /** For each token, how many tokens up to it are the same as the last ones of the sequence. */
  readonly #matches: number[] = [];
  /** The end of the text: a breaker may be spread over tokens. */
  #tail = '';

  constructor(settings: Settings, prompt: Int32Array, pieces: TokenPieces) {
    this.#settings = settings;
    this.#pieces = pieces;
    for (const id of prompt) this.add(id);
  }

  add(id: number): void {
    const tokens = this.#tokens;
    const matches = this.#matches;
    const breaks = this.#breaks(id);
    const first = this.#first();
    for (let i = tokens.length - 1; i >= first; i--) {
      matches[i] = !breaks && tokens[i] === id ? (i > first ? (matches[i - 1] as number) : 0) + 1 : 0;
    }
    tokens.push(id);
    matches.push(0);
  }

  apply(logits: Float32Array, offset: number): void {
    const { multiplier, base, allowed_length } = this.#settings;
    const longest = new Map<number, number>();
    for (let i = this.#first(); i < this.#tokens.length - 1; i++) {
      const length = this.#matches[i] as number;
      if (length < allowed_length) continue;
      const next = this.#tokens[i + 1] as number;
      if (length > (longest.get(next) ?? 0)) longest.set(next, length);
    }
    for (const [id, length] of longest) {
      logits[offset + id]! -= Math.min(multiplier * base ** (length - allowed_length), most);
    }
  }

  #first(): number {
    const { last_n } = this.#settings;
    return last_n === 0 ? 0 : Math.max(0, this.#tokens.length - last_n);
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
