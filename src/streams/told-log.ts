/**
 * What readers of an answer have been told, or may be: the last of it in memory, all of it in storage. Every reader
 * goes at its own pace, and a slow one holds nothing.
 */
import { join } from '../event-bytes.ts';
import { skipEvents } from './numbering.ts';

/** Events `first` to `last`. */
export interface Piece {
  first: number;
  last: number;
  bytes: Uint8Array;
}

/** Bytes that a reader gets at once. */
const portion = 64 * 1024;
/** Bytes in memory, of what is stored as well. */
const windowBytes = 256 * 1024;

export class ToldLog {
  /** Number of the last event that may be told. */
  last: number;
  /** Whether nothing follows. */
  ended = false;
  readonly #read: (after: number) => Piece | undefined;
  #pieces: Piece[] = [];
  #bytes = 0;
  readonly #stored: boolean;

  /**
   * @param stored whether all that is told is in storage, too
   * @param read the stored piece that holds event `after + 1`
   */
  constructor(last: number, stored: boolean, read: (after: number) => Piece | undefined) {
    this.last = last;
    this.#stored = stored;
    this.#read = read;
  }

  tell(piece: Piece): void {
    this.last = piece.last;
    this.#pieces.push(piece);
    this.#bytes += piece.bytes.length;
    if (this.#stored) this.#trim();
  }

  /** What is in memory: all of it, where it is not in storage. */
  get pieces(): readonly Piece[] {
    return this.#pieces;
  }

  /** What comes after event `n`, some of it at least; undefined where there is nothing yet. */
  after(n: number): { last: number; bytes: Uint8Array } | undefined {
    if (n >= this.last) return undefined;
    const pieces = this.#pieces;
    if (pieces.length === 0 || pieces[0]!.first > n + 1) {
      const piece = this.#read(n);
      return piece && { last: piece.last, bytes: rest(piece, n) };
    }
    // Those who keep up ask for the last one.
    let at = pieces.length - 1;
    while (pieces[at]!.first > n + 1) at--;
    let bytes = rest(pieces[at]!, n);
    let { last } = pieces[at]!;
    for (const piece of pieces.slice(at + 1)) {
      if (bytes.length + piece.bytes.length > portion) break;
      bytes = join(bytes, piece.bytes);
      last = piece.last;
    }
    return { last, bytes };
  }

  #trim(): void {
    while (this.#bytes > windowBytes && this.#pieces.length > 1) {
      this.#bytes -= this.#pieces.shift()!.bytes.length;
    }
  }
}

function rest({ first, bytes }: Piece, n: number): Uint8Array {
  return n < first ? bytes : skipEvents(bytes, n - first + 1);
}
