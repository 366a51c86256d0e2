/**
 * Continuous batching: one llama_decode a step for all sequences. Tokens of running sequences come first, prefill
 * of joining ones fills what is left of the batch, in chunks, in the order of arrival. Admission reserves the KV
 * cells of prompt and answer, so a running sequence can never fail for space; the rest waits its turn.
 */

import type { NativeContext } from '../native/context.ts';
import type { EndReason } from '../protocol.ts';
import { EngineClosedError } from './errors.ts';
import { DecodeError } from './model-errors.ts';
import { Sampler } from './sampler.ts';
import type { Sequence } from './sequence.ts';
import type { EngineStats } from './types.ts';

export type StepContext = Pick<
  NativeContext,
  'batch' | 'decode' | 'logits' | 'removeSequence' | 'lastErrors'
>;

export interface SchedulerOptions {
  slots: number;
  contextTokens: number;
  /** Not below `slots`. */
  batchTokens: number;
  vocabularySize: number;
}

export class Scheduler {
  readonly #context: StepContext;
  readonly #options: SchedulerOptions;
  readonly #sampler: Sampler;
  readonly #queue: Sequence[] = [];
  /** In the order of admission. */
  #running: Sequence[] = [];
  readonly #freeSlots: number[];
  /** Which sequence each logit row of the step belongs to. */
  readonly #rows: Sequence[] = [];
  #reserved = 0;
  #steps = 0;
  #closed = false;
  #loop: Promise<void> | undefined;

  constructor(context: StepContext, options: SchedulerOptions) {
    this.#context = context;
    this.#options = options;
    this.#sampler = new Sampler(options.vocabularySize);
    this.#freeSlots = Array.from({ length: options.slots }, (_, i) => options.slots - 1 - i);
  }

  get stats(): EngineStats {
    return {
      slots: this.#options.slots,
      active: this.#running.length,
      queued: this.#queue.length,
      kvUsed: this.#reserved,
      kvTotal: this.#options.contextTokens,
      steps: this.#steps,
    };
  }

  /** @throws EngineClosedError */
  submit(sequence: Sequence): void {
    if (this.#closed) throw new EngineClosedError();
    this.#queue.push(sequence);
    this.wake();
  }

  /** Also after a cancel, which takes effect between two steps. */
  wake(): void {
    this.#loop ??= this.#run();
  }

  /** Ends everything as cancelled; resolves when no step runs any more. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const sequence of [...this.#queue, ...this.#running]) sequence.cancel();
    await this.#loop;
  }

  async #run(): Promise<void> {
    // Callers get their Generation before its first event, and all requests of one turn join the same step.
    await undefined;
    for (;;) {
      this.#dropCancelled();
      this.#admit();
      const count = this.#fill();
      if (count === 0) break;
      const code = await this.#context.decode(count);
      this.#steps++;
      if (code === 0) this.#advance();
      else this.#fail(new DecodeError(code, this.#context.lastErrors()));
    }
    // In the same turn as the look at the queue that found nothing: a request may come before the promise settles.
    this.#loop = undefined;
  }

  #dropCancelled(): void {
    for (const sequence of this.#running) if (sequence.cancelled) this.#release(sequence);
    const ended = [...this.#running, ...this.#queue].filter((sequence) => sequence.cancelled);
    if (ended.length === 0) return;
    this.#running = this.#running.filter((sequence) => !sequence.cancelled);
    this.#queue.splice(0, Infinity, ...this.#queue.filter((sequence) => !sequence.cancelled));
    for (const sequence of ended) sequence.end('cancelled');
  }

  #admit(): void {
    for (let first = this.#queue[0]; first; first = this.#queue[0]) {
      const slot = this.#freeSlots.at(-1);
      if (slot === undefined || this.#reserved + first.cells > this.#options.contextTokens) return;
      this.#freeSlots.pop();
      this.#queue.shift();
      first.slot = slot;
      this.#reserved += first.cells;
      this.#running.push(first);
    }
  }

  /** @returns tokens in the batch */
  #fill(): number {
    const { batch } = this.#context;
    this.#rows.length = 0;
    let count = 0;
    for (const sequence of this.#running) {
      sequence.stepping = 0;
      if (sequence.past < sequence.promptTokens) continue;
      batch.tokens[count] = sequence.next;
      batch.positions[count] = sequence.past;
      batch.sequences[count] = sequence.slot;
      batch.outputs[count] = 1;
      count++;
      sequence.stepping = 1;
      this.#rows.push(sequence);
    }
    for (const sequence of this.#running) {
      const left = sequence.promptTokens - sequence.past;
      const room = this.#options.batchTokens - count;
      if (left <= 0 || room === 0) continue;
      const chunk = Math.min(left, room);
      batch.tokens.set(sequence.prompt.subarray(sequence.past, sequence.past + chunk), count);
      batch.sequences.fill(sequence.slot, count, count + chunk);
      batch.outputs.fill(0, count, count + chunk);
      for (let i = 0; i < chunk; i++) batch.positions[count + i] = sequence.past + i;
      count += chunk;
      sequence.stepping = chunk;
      if (chunk === left) {
        batch.outputs[count - 1] = 1;
        this.#rows.push(sequence);
      }
    }
    return count;
  }

  #advance(): void {
    for (const sequence of this.#running) sequence.past += sequence.stepping;
    const logits = this.#context.logits();
    const size = this.#options.vocabularySize;
    for (const [row, sequence] of this.#rows.entries()) {
      if (sequence.cancelled) continue;
      sequence.penalties?.apply(logits, row * size);
      const id = this.#sampler.sample(logits, row * size, sequence.request.sampling, sequence.past);
      const reason = sequence.accept(id);
      if (reason) this.#end(sequence, reason);
    }
  }

  /** Ends what was in the failed batch; sequences that were not, go on. */
  #fail(error: DecodeError): void {
    for (const sequence of this.#running.filter(({ stepping }) => stepping > 0))
      this.#end(sequence, 'error', error);
  }

  #end(sequence: Sequence, reason: EndReason, error?: Error): void {
    this.#release(sequence);
    this.#running = this.#running.filter((other) => other !== sequence);
    sequence.end(reason, error);
  }

  #release(sequence: Sequence): void {
    this.#context.removeSequence(sequence.slot);
    this.#freeSlots.push(sequence.slot);
    this.#reserved -= sequence.cells;
  }
}
