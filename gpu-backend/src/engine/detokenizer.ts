import type { TokenPieces } from './token-pieces.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const none = new Uint8Array(0);

/**
 * Tokens of one sequence → text, as they come. Only whole characters leave; what never becomes one is U+FFFD,
 * the same in the end as decoding all bytes at once. Nothing is stripped: an answer continues `助手\n`.
 */
export class Detokenizer {
  readonly #pieces: TokenPieces;
  /** At most three bytes of a character whose rest is still to come. */
  #pending: Uint8Array = none;

  constructor(pieces: TokenPieces) {
    this.#pieces = pieces;
  }

  push(id: number): string {
    if (this.#pending.length === 0) {
      const text = this.#pieces.text(id);
      if (text !== undefined) return text;
    }
    const bytes = concat(this.#pending, this.#pieces.bytes(id));
    const whole = bytes.length - incompleteTail(bytes);
    this.#pending = whole === bytes.length ? none : bytes.slice(whole);
    return whole === 0 ? '' : utf8.decode(bytes.subarray(0, whole));
  }

  /** The rest, after the last token. */
  flush(): string {
    const rest = this.#pending;
    this.#pending = none;
    return rest.length === 0 ? '' : utf8.decode(rest);
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** Bytes at the end that begin a character and lack its rest; bytes that can never become one do not count. */
function incompleteTail(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const lead = bytes[bytes.length - back] ?? 0;
    if (lead >= 0xc0) {
      const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
      return back < length && canContinue(bytes.subarray(bytes.length - back)) ? back : 0;
    }
    if (lead < 0x80) return 0;
  }
  return 0;
}

/** UTF-8 narrows the second byte after some leads (no overlong forms, surrogates, or anything above U+10FFFF). */
function canContinue([lead = 0, second]: Uint8Array): boolean {
  if (lead < 0xc2 || lead > 0xf4) return false;
  if (second === undefined) return true;
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second < 0xa0;
  if (lead === 0xf0) return second >= 0x90;
  if (lead === 0xf4) return second < 0x90;
  return true;
}
