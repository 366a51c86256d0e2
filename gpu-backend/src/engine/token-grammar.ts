/**
 * Which tokens a grammar allows next. Usually only the one that was drawn is looked at; all of them are where it was
 * not allowed. Control tokens have no text, so none of them is; those that end the answer are where the grammar is done.
 */
import { Grammar, type GrammarState } from '../grammar/automaton.ts';
import type { TokenPieces } from './token-pieces.ts';
import type { AnswerGrammar } from './types.ts';

/** A character of which some bytes are still to come. */
interface Partial {
  value: number;
  missing: number;
  /** The smallest code point that is spelled by so many bytes. */
  least: number;
}

interface Place {
  /** undefined while the trigger has not come. */
  state: GrammarState | undefined;
  partial: Partial | undefined;
  /** The end of the text before the trigger. */
  tail: string;
}

const utf8 = new TextDecoder();

export class TokenGrammar {
  readonly #grammar: Grammar;
  readonly #trigger: string;
  readonly #pieces: TokenPieces;
  readonly #ends: ReadonlySet<number>;
  #place: Place;

  /**
   * @param ends tokens that end an answer
   * @throws InvalidGrammarError, GrammarTooAmbiguousError
   */
  constructor({ gbnf, trigger = '' }: AnswerGrammar, pieces: TokenPieces, ends: ReadonlySet<number>) {
    this.#grammar = new Grammar(gbnf);
    this.#trigger = trigger;
    this.#pieces = pieces;
    this.#ends = ends;
    const state = trigger === '' ? this.#grammar.start : undefined;
    this.#place = { state, partial: undefined, tail: '' };
  }

  /** Whether the answer may end here. */
  get done(): boolean {
    const { state, partial } = this.#place;
    return state === undefined || (state.accepts && !partial);
  }

  allows(id: number): boolean {
    return this.#ends.has(id) ? this.done : this.#after(id) !== undefined;
  }

  /** Takes a token that is allowed. @returns false where it is not */
  accept(id: number): boolean {
    if (this.#ends.has(id)) return this.done;
    const place = this.#after(id);
    if (!place) return false;
    this.#place = place;
    return true;
  }

  /** Leaves only what is allowed of one row of logits. @returns whether anything is left */
  mask(row: Float32Array): boolean {
    let left = false;
    for (let id = 0; id < row.length; id++) {
      if (row[id] === Number.NEGATIVE_INFINITY) continue;
      if (this.allows(id)) left = true;
      else row[id] = Number.NEGATIVE_INFINITY;
    }
    return left;
  }

  /** The token that ends the answer where nothing else may follow. */
  get end(): number {
    const [first] = this.#ends;
    return first as number;
  }

  #after(id: number): Place | undefined {
    const { state, partial } = this.#place;
    if (!state) return this.#wait(id);
    const text = partial ? undefined : this.#pieces.text(id);
    if (text === undefined) return this.#afterBytes(state, partial, this.#pieces.bytes(id));
    if (text === '') return undefined;
    const after = this.#afterText(state, text);
    return after && { state: after, partial: undefined, tail: '' };
  }

  /** Anything goes until the trigger; what follows it in the same token is the grammar's already. */
  #wait(id: number): Place | undefined {
    const text = this.#place.tail + (this.#pieces.text(id) ?? utf8.decode(this.#pieces.bytes(id)));
    const found = text.indexOf(this.#trigger);
    if (found < 0)
      return { state: undefined, partial: undefined, tail: text.slice(1 - this.#trigger.length) };
    const after = this.#afterText(this.#grammar.start, text.slice(found + this.#trigger.length));
    return after && { state: after, partial: undefined, tail: '' };
  }

  #afterText(from: GrammarState, text: string): GrammarState | undefined {
    let state: GrammarState | undefined = from;
    for (let i = 0; i < text.length && state; i++) {
      const code = text.codePointAt(i) as number;
      if (code > 0xffff) i++;
      state = this.#grammar.step(state, code);
    }
    return state;
  }

  #afterBytes(from: GrammarState, begun: Partial | undefined, bytes: Uint8Array): Place | undefined {
    let state: GrammarState | undefined = from;
    let partial = begun;
    if (bytes.length === 0) return undefined;
    for (const byte of bytes) {
      if (partial) {
        if ((byte & 0xc0) !== 0x80) return undefined;
        const { value, missing, least }: Partial = partial;
        partial = { value: (value << 6) | (byte & 0x3f), missing: missing - 1, least };
      } else {
        partial = begin(byte);
        if (!partial) return undefined;
      }
      if (partial.missing > 0) continue;
      if (!isCharacter(partial.value, partial.least)) return undefined;
      state = this.#grammar.step(state, partial.value);
      if (!state) return undefined;
      partial = undefined;
    }
    if (partial && !this.#canComplete(state, partial)) return undefined;
    return { state, partial, tail: '' };
  }

  #canComplete(state: GrammarState, { value, missing, least }: Partial): boolean {
    const from = Math.max(value << (6 * missing), least);
    const to = Math.min(((value + 1) << (6 * missing)) - 1, 0x10ffff);
    if (from > to) return false;
    // Halves of a surrogate pair are no characters: they lie together, so one side of them must do.
    return (
      (from < 0xd800 && this.#grammar.canStep(state, from, Math.min(to, 0xd7ff))) ||
      (to > 0xdfff && this.#grammar.canStep(state, Math.max(from, 0xe000), to))
    );
  }
}

function begin(byte: number): Partial | undefined {
  if (byte < 0x80) return { value: byte, missing: 0, least: 0 };
  if (byte >= 0xc2 && byte < 0xe0) return { value: byte & 0x1f, missing: 1, least: 0x80 };
  if (byte >= 0xe0 && byte < 0xf0) return { value: byte & 0x0f, missing: 2, least: 0x800 };
  if (byte >= 0xf0 && byte < 0xf5) return { value: byte & 0x07, missing: 3, least: 0x10000 };
  return undefined;
}

function isCharacter(value: number, least: number): boolean {
  return value >= least && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
}

/** Draws looked at one by one before all tokens are: most often the second best is allowed. */
const singleDraws = 4;

/**
 * Draws again, without what the grammar does not allow.
 * @param refused what was drawn first
 * @param row of logits, changed in place
 */
export function drawAllowed(
  grammar: TokenGrammar,
  refused: number,
  row: Float32Array,
  draw: (row: Float32Array) => number,
): number {
  let id = refused;
  for (let i = 0; i < singleDraws; i++) {
    row[id] = Number.NEGATIVE_INFINITY;
    id = draw(row);
    if (row[id] === Number.NEGATIVE_INFINITY) break;
    if (grammar.allows(id)) return id;
  }
  if (grammar.mask(row)) return draw(row);
  if (grammar.done) return grammar.end;
  throw new Error('the grammar leaves no token to go on with');
}
