/**
 * SentencePiece's byte-pair merges over the plain pieces of a vocabulary alone. Slower than llama.cpp's own, and
 * only for the rare text with which that one fails: it looks merges up among all tokens, so `</s>` or `<0x0A>` as
 * typed text can become that very token, and it cannot tell a typed `▁` from a space. Here control tokens are not
 * in the table, so no text can become one.
 */
import { tokenAttribute, type Vocabulary } from '../native/model.ts';
import type { TokenPieces } from './token-pieces.ts';

const space = '▁';
/** Stands for a typed `▁`: half a surrogate pair, which is in no vocabulary and in no well-formed text. */
const typedSpaceMark = '\udc81';

interface Node {
  text: string;
  previous: number;
  next: number;
}

interface Merge {
  left: number;
  right: number;
  score: number;
  /** Of both texts together: shows whether a symbol has changed since. */
  size: number;
}

export class PlainTokenizer {
  readonly #ids = new Map<string, number>();
  readonly #scores: Float32Array;
  readonly #byteTokens: Int32Array;

  constructor({ texts, attributes, scores }: Vocabulary, pieces: TokenPieces) {
    for (const [id, text] of texts.entries()) {
      const isByte = ((attributes[id] ?? 0) & tokenAttribute.byte) !== 0;
      if (pieces.isPlain(id) && !isByte) this.#ids.set(text, id);
    }
    this.#scores = scores;
    this.#byteTokens = pieces.byteTokens;
  }

  /** @param text well-formed, with its leading space if it has one */
  encode(text: string): number[] {
    const escaped = text.replaceAll(space, typedSpaceMark).replaceAll(' ', space);
    const symbols: Node[] = Array.from(escaped, (character, i) => ({
      text: character,
      previous: i - 1,
      next: i + 1,
    }));
    const last = symbols.at(-1);
    if (!last) return [];
    last.next = -1;

    const queue = new MergeQueue();
    const propose = (left: number, right: number) => {
      const [a, b] = [symbols[left], symbols[right]];
      if (!a || !b) return;
      const id = this.#ids.get(a.text + b.text);
      if (id === undefined) return;
      queue.push({ left, right, score: this.#scores[id] ?? 0, size: a.text.length + b.text.length });
    };
    for (let i = 1; i < symbols.length; i++) propose(i - 1, i);
    for (let merge = queue.pop(); merge; merge = queue.pop()) {
      const [a, b] = [symbols[merge.left], symbols[merge.right]];
      if (!a?.text || !b?.text || a.text.length + b.text.length !== merge.size) continue;
      a.text += b.text;
      b.text = '';
      a.next = b.next;
      const after = symbols[b.next];
      if (after) after.previous = merge.left;
      propose(a.previous, merge.left);
      propose(merge.left, a.next);
    }

    const ids: number[] = [];
    for (let symbol = symbols[0]; symbol; symbol = symbols[symbol.next]) this.#emit(symbol.text, ids);
    return ids;
  }

  #emit(text: string, ids: number[]): void {
    const id = this.#ids.get(text);
    if (id !== undefined) ids.push(id);
    else
      for (const byte of Buffer.from(text === typedSpaceMark ? space : text))
        ids.push(this.#byteTokens[byte] ?? 0);
  }
}

/** Highest score first, then leftmost. A binary heap. */
class MergeQueue {
  readonly #heap: Merge[] = [];

  push(merge: Merge): void {
    const heap = this.#heap;
    let i = heap.push(merge) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(merge, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = merge;
  }

  pop(): Merge | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!last || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function before(a: Merge, b: Merge): boolean {
  return a.score > b.score || (a.score === b.score && a.left < b.left);
}
