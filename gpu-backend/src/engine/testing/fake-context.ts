import type { StepContext } from '../scheduler.ts';

/** A KV cell knows every token before it: what a sequence reads shows whether its cells are the right ones. */
interface Cell {
  key: number;
}

const mix = (key: number, token: number) => (Math.imul(key ^ token, 0x9e3779b1) ^ (key >>> 15)) >>> 0;
const nextToken = (key: number, vocabulary: number) => (key >>> 7) % vocabulary;

/** What `FakeContext` answers to a prompt, computed without any cells. */
export function expectedAnswer(prompt: readonly number[], tokens: number, vocabulary: number): number[] {
  let key = prompt.reduce(mix, 1);
  return Array.from({ length: tokens }, () => {
    const token = nextToken(key, vocabulary);
    key = mix(key, token);
    return token;
  });
}

/** A model whose next token is a hash of all tokens in its KV cells, over cells that are shared as llama.cpp's are. */
export class FakeContext implements StepContext {
  readonly batch;
  readonly #cells: number;
  readonly #vocabulary: number;
  readonly #sequences = new Map<number, (Cell | undefined)[]>();
  readonly #logits: Float32Array;
  evaluated = 0;
  /** The next step fails with this code. */
  failure = 0;
  onStep: () => void = () => undefined;

  constructor(cells: number, batchTokens: number, slots: number, vocabulary: number) {
    this.#cells = cells;
    this.#vocabulary = vocabulary;
    this.#logits = new Float32Array(slots * vocabulary);
    this.batch = {
      tokens: new Int32Array(batchTokens),
      positions: new Int32Array(batchTokens),
      sequences: new Int32Array(batchTokens),
      outputs: new Int8Array(batchTokens),
    };
  }

  /** Distinct cells in use. */
  get used(): number {
    return new Set([...this.#sequences.values()].flat().filter(Boolean)).size;
  }

  /** Ids that hold cells. */
  get ids(): number {
    return this.#sequences.size;
  }

  async decode(count: number): Promise<number> {
    await new Promise((resolve) => setImmediate(resolve));
    this.onStep();
    const { tokens, positions, sequences, outputs } = this.batch;
    this.#logits.fill(0);
    let row = 0;
    for (let i = 0; i < count; i++) {
      const cells = this.#sequences.get(sequences[i]!) ?? [];
      const position = positions[i]!;
      const before = position === 0 ? { key: 1 } : cells[position - 1];
      if (!before) throw new Error(`sequence ${sequences[i]} has no cell before position ${position}`);
      if (cells.length !== position)
        throw new Error(`sequence ${sequences[i]} has a cell at ${position} already`);
      const cell = { key: mix(before.key, tokens[i]!) };
      this.#sequences.set(sequences[i]!, [...cells, cell]);
      if (outputs[i]) this.#logits[row++ * this.#vocabulary + nextToken(cell.key, this.#vocabulary)] = 1;
    }
    this.evaluated += count;
    if (this.used > this.#cells) throw new Error(`${this.used} cells in use`);
    const code = this.failure;
    this.failure = 0;
    return code;
  }

  logits = () => this.#logits;
  useAdapter = () => undefined;
  lastErrors = () => 'out of luck';

  removeCells(id: number, from: number, to: number): void {
    const cells = this.#sequences.get(id);
    if (!cells) return;
    for (let i = from; i < (to < 0 ? cells.length : Math.min(to, cells.length)); i++) cells[i] = undefined;
    while (cells.length > 0 && !cells.at(-1)) cells.pop();
    if (cells.length === 0) this.#sequences.delete(id);
  }

  shareCells(source: number, target: number, from: number, to: number): void {
    const given = this.#sequences.get(source) ?? [];
    const cells = this.#sequences.get(target) ?? [];
    for (let i = from; i < to; i++) {
      if (!given[i]) throw new Error(`sequence ${source} has no cell at ${i} to share`);
      if (cells[i]) throw new Error(`sequence ${target} has a cell at ${i} of its own`);
      cells[i] = given[i];
    }
    this.#sequences.set(target, cells);
  }
}
