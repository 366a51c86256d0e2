import { type NativeModel, tokenizeText, type Vocabulary } from '../native/model.ts';
import type { Segment } from '../protocol.ts';
import type { ControlTokens, Model } from './model.ts';
import { PlainTokenizer } from './spm.ts';
import type { TokenPieces } from './token-pieces.ts';

/**
 * Segments → token ids. Control tokens come from control segments alone: whatever a text segment holds reaches the
 * model as that text. Each stretch of text after a control token gets SentencePiece's `▁` prefix (`legacy: true`);
 * neighbouring text segments are one stretch.
 */
export class Tokenizer {
  readonly #native: NativeModel;
  readonly #vocabulary: Vocabulary;
  readonly #pieces: TokenPieces;
  readonly #tokens: ControlTokens;
  readonly #prefix: string;
  #plain: PlainTokenizer | undefined;

  constructor({ native, vocabulary, pieces, tokens, spacePrefix }: Model) {
    this.#native = native;
    this.#vocabulary = vocabulary;
    this.#pieces = pieces;
    this.#tokens = tokens;
    this.#prefix = spacePrefix ? ' ' : '';
  }

  tokenize(segments: readonly Segment[]): Int32Array {
    return encodeSegments(segments, this.#tokens, (text) => this.encode(text));
  }

  /** One stretch of text. Every id is a plain piece, and their bytes are those of the text. */
  encode(text: string): ArrayLike<number> {
    const utf8 = Buffer.from(this.#prefix + text);
    // llama.cpp adds the prefix itself.
    const ids = tokenizeText(this.#native, utf8.subarray(this.#prefix.length));
    if (this.#spells(ids, utf8)) return ids;
    this.#plain ??= new PlainTokenizer(this.#vocabulary, this.#pieces);
    // Decoded again, so that half a surrogate pair is U+FFFD here as well.
    return this.#plain.encode(utf8.toString());
  }

  /** Whether these ids are plain pieces that spell exactly this: no marker, no `<0x0A>` read as a newline. */
  #spells(ids: Int32Array, utf8: Uint8Array): boolean {
    let at = 0;
    for (const id of ids) {
      if (!this.#pieces.isPlain(id)) return false;
      for (const byte of this.#pieces.bytes(id)) if (utf8[at++] !== byte) return false;
    }
    return at === utf8.length;
  }
}

/** @param encode one stretch of text, never empty */
export function encodeSegments(
  segments: readonly Segment[],
  tokens: ControlTokens,
  encode: (text: string) => ArrayLike<number>,
): Int32Array {
  const parts: ArrayLike<number>[] = [];
  let stretch = '';
  const flush = () => {
    if (stretch !== '') parts.push(encode(stretch));
    stretch = '';
  };
  for (const segment of segments) {
    if ('text' in segment) {
      stretch += segment.text;
    } else {
      flush();
      parts.push([tokens[segment.control]]);
    }
  }
  flush();
  const ids = new Int32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    ids.set(part, at);
    at += part.length;
  }
  return ids;
}
