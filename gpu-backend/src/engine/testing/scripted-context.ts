/** A model that does what a test says, and the scheduler before it. */
import { expect } from 'vitest';
import { Scheduler, type SchedulerOptions, type StepContext } from '../scheduler.ts';
import { Sequence } from '../sequence.ts';
import { TokenPieces } from '../token-pieces.ts';
import type { GenerationEnd, GenerationRequest } from '../types.ts';
import { greedy } from './generate.ts';

const vocabulary = 16;
const texts = Array.from({ length: vocabulary }, (_, id) => String.fromCharCode(97 + id));
const pieces = new TokenPieces(
  {
    texts,
    attributes: new Int32Array(vocabulary).fill(4),
    scores: new Float32Array(vocabulary),
    bos: 1,
    eos: 2,
  },
  [],
);

interface Step {
  /** Per token of the batch: sequence, position, token, and whether logits are wanted. */
  tokens: [sequence: number, position: number, token: number, output: boolean][];
  /** Lets the step end. */
  finish(code?: number): void;
}

/** A model whose next token is always the last one plus one. Steps wait until the test lets them end. */
class ScriptedContext implements StepContext {
  readonly batch;
  readonly shared: [source: number, target: number, from: number, to: number][] = [];
  readonly steps: Step[] = [];
  /** KV cells held, by sequence. */
  readonly cells = new Map<number, number>();
  #logits = new Float32Array(0);

  constructor(batchTokens: number) {
    this.batch = {
      tokens: new Int32Array(batchTokens),
      positions: new Int32Array(batchTokens),
      sequences: new Int32Array(batchTokens),
      outputs: new Int8Array(batchTokens),
    };
  }

  decode(count: number): Promise<number> {
    const { tokens, positions, sequences, outputs } = this.batch;
    const inBatch: Step['tokens'] = [];
    for (let i = 0; i < count; i++) {
      inBatch.push([sequences[i]!, positions[i]!, tokens[i]!, outputs[i] === 1]);
      expect(positions[i], 'positions follow each other').toBe(this.cells.get(sequences[i]!) ?? 0);
      this.cells.set(sequences[i]!, positions[i]! + 1);
    }
    const rows = inBatch.filter(([, , , output]) => output);
    this.#logits = new Float32Array(rows.length * vocabulary);
    for (const [row, [, , token]] of rows.entries())
      this.#logits[row * vocabulary + ((token + 1) % vocabulary)] = 1;
    return new Promise((resolve) => {
      this.steps.push({ tokens: inBatch, finish: (code = 0) => resolve(code) });
    });
  }

  logits = () => this.#logits;
  useAdapter = () => undefined;
  lastErrors = () => 'out of luck';

  removeCells(id: number, from: number): void {
    if (from === 0) this.cells.delete(id);
    else this.cells.set(id, Math.min(this.cells.get(id) ?? 0, from));
  }

  shareCells(source: number, target: number, from: number, to: number): void {
    this.shared.push([source, target, from, to]);
    this.cells.set(target, to);
  }

  /** The next step that begins. */
  async next(): Promise<Step> {
    for (let i = 0; i < 10 && this.steps.length === 0; i++) await turn();
    const step = this.steps.shift();
    if (!step) throw new Error('no step began');
    return step;
  }
}

export const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A scheduler before such a model. */
export function setUp(options: Partial<SchedulerOptions> = {}) {
  const all: SchedulerOptions = {
    slots: 2,
    contextTokens: 100,
    batchTokens: 8,
    besideTokens: 8,
    vocabularySize: vocabulary,
    maxQueue: 100,
    maxQueueTokens: 1000,
    prefixCache: false,
    ids: [0, 1, 2, 3],
    ...options,
  };
  const context = new ScriptedContext(all.batchTokens);
  const scheduler = new Scheduler(context, all);
  const submit = (prompt: number[], request: Partial<GenerationRequest> = {}, onText?: () => void) => {
    const seen = { text: '', end: undefined as GenerationEnd | undefined };
    const events = {
      onText: (text: string) => {
        onText?.();
        seen.text += text;
      },
      onEnd: (end: GenerationEnd) => {
        seen.end = end;
      },
    };
    const whole = { promptIds: Int32Array.from(prompt), sampling: greedy, maxTokens: 3, ...request };
    const sequence = new Sequence(
      { stopIds: [], stopStrings: [], ignoreEos: true, ...whole },
      events,
      pieces,
      new Set(request.stopIds),
      prompt.length + whole.maxTokens,
      () => scheduler.noticeCancel(),
    );
    scheduler.submit(sequence);
    return Object.assign(seen, { cancel: () => sequence.cancel() });
  };
  return { context, scheduler, submit };
}
