/**
 * Continuous batching: one llama_decode a step for all sequences. Tokens of running sequences come first, prefill of
 * joining ones fills what is left of the batch, in chunks that keep the step short while others decode. Admission
 * reserves the KV cells of prompt and answer, so a running sequence can never fail for space; the rest waits its turn.
 *
 * Who is next is fair-queue.ts's, which KV cells are shared prefix-cache.ts's.
 */

import type { NativeAdapter } from '../native/adapters.ts';
import type { NativeContext } from '../native/context.ts';
import type { EndReason } from '../protocol.ts';
import { AdapterTurns } from './adapter-turns.ts';
import { EngineClosedError, QueueFullError } from './errors.ts';
import type { ExpertWatch } from './expert-telemetry.ts';
import { FairQueue } from './fair-queue.ts';
import { DecodeError } from './model-errors.ts';
import { PrefillChunk } from './prefill-chunk.ts';
import { PrefixCache } from './prefix-cache.ts';
import type { Lease } from './prefix-tree.ts';
import { Sampler } from './sampler.ts';
import type { Sequence } from './sequence.ts';
import { Throughput } from './throughput.ts';
import type { EngineStats } from './types.ts';

export type StepContext = Pick<
  NativeContext,
  'batch' | 'decode' | 'logits' | 'removeCells' | 'shareCells' | 'useAdapter' | 'lastErrors'
>;

export interface SchedulerOptions {
  slots: number;
  contextTokens: number;
  /** Not below `slots`. */
  batchTokens: number;
  /** Prompt tokens of a step in which others decode, at most. */
  besideTokens: number;
  vocabularySize: number;
  maxQueue: number;
  maxQueueTokens: number;
  prefixCache: boolean;
  experts?: ExpertWatch;
  /** By index; the first is none. @default none but that */
  adapters?: readonly (NativeAdapter | undefined)[];
  /** llama.cpp's sequence ids, more than `slots`. */
  ids: readonly number[];
}

/** How long sequences of one adapter step before those of another; a few steps. */
const adapterTurnMs = 50;
/** How long a step may take for the prompt tokens in it while others decode. */
const besideMs = 200;
/** A shorter common beginning is not worth waiting for the other one's prefill. */
const leastAwaited = 32;

export class Scheduler {
  readonly #context: StepContext;
  readonly #options: SchedulerOptions;
  readonly #sampler: Sampler;
  readonly #queue = new FairQueue<Sequence>();
  readonly #throughput = new Throughput();
  readonly #chunk: PrefillChunk;
  readonly cache: PrefixCache;
  readonly #turns = new AdapterTurns(adapterTurnMs);
  #running: Sequence[] = [];
  /** Those of them whose prompt is not through, first to be served first. */
  #prefilling: Sequence[] = [];
  /** Which sequence each logit row of the step belongs to. */
  readonly #rows: Sequence[] = [];
  #steps = 0;
  #stepMs = 0;
  #prefillTokens = 0;
  #decodeTokens = 0;
  /** Something was cancelled since the last step. */
  #cancelled = false;
  /** The first deadline of all that waits and runs. */
  #nextDeadline = Number.POSITIVE_INFINITY;
  #closed = false;
  #loop: Promise<void> | undefined;

  constructor(context: StepContext, options: SchedulerOptions) {
    this.#context = context;
    this.#options = options;
    this.#sampler = new Sampler(options.vocabularySize);
    this.#chunk = new PrefillChunk(besideMs, options.besideTokens);
    this.cache = new PrefixCache(context, {
      cells: options.contextTokens,
      ids: options.ids,
      enabled: options.prefixCache,
    });
  }

  get stats(): EngineStats {
    return {
      slots: this.#options.slots,
      active: this.#running.length,
      queued: this.#queue.size,
      queuedTokens: this.#queue.tokens,
      expectedWaitMs: this.#expectedWait(),
      prefillTokensPerSecond: this.#throughput.prefillTokensPerSecond,
      answerSeconds: this.#throughput.answerSeconds(this.#options.slots),
      kvUsed: this.cache.reserved,
      kvCached: this.cache.idle,
      kvTotal: this.#options.contextTokens,
      steps: this.#steps,
      stepMs: this.#stepMs,
      prefillTokens: this.#prefillTokens,
      decodeTokens: this.#decodeTokens,
    };
  }

  /** @throws EngineClosedError, QueueFullError */
  submit(sequence: Sequence): void {
    if (this.#closed) throw new EngineClosedError();
    const { size, tokens } = this.#queue;
    const { slots, maxQueue, maxQueueTokens } = this.#options;
    const waiting = size - (slots - this.#running.length);
    const isTooMuch = size > 0 && tokens + sequence.promptTokens > maxQueueTokens;
    if (waiting >= maxQueue || (waiting >= 0 && isTooMuch))
      throw new QueueFullError(size, tokens, this.#expectedWait());
    this.#queue.push(sequence);
    this.#nextDeadline = Math.min(this.#nextDeadline, sequence.deadline);
    this.#wake();
  }

  /** Takes effect between two steps. */
  noticeCancel(): void {
    this.#cancelled = true;
    this.#wake();
  }

  /** Ends everything as cancelled; resolves when no step runs any more. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const sequence of [...this.#queue, ...this.#running]) sequence.cancel();
    await this.#loop;
  }

  #wake(): void {
    this.#loop ??= this.#run();
  }

  async #run(): Promise<void> {
    // Callers get their Generation before its first event, and all requests of one turn join the same step.
    await undefined;
    const { experts } = this.#options;
    for (;;) {
      this.#dropEnded();
      this.#admit();
      const count = this.#fill();
      if (count === 0) break;
      experts?.before(this.#rows.some(({ request }) => request.returnExperts));
      const begin = performance.now();
      const code = await this.#context.decode(count);
      const ms = performance.now() - begin;
      this.#steps++;
      experts?.after(count, ms);
      if (code === 0) this.#advance(count, ms);
      else this.#fail(new DecodeError(code, this.#context.lastErrors()));
    }
    // In the same turn as the look at the queue that found nothing: a request may come before the promise settles.
    this.#loop = undefined;
  }

  /** Cancelled or past their deadline. */
  #dropEnded(): void {
    const now = performance.now();
    if (!this.#cancelled && now < this.#nextDeadline) return;
    this.#cancelled = false;
    this.#nextDeadline = Number.POSITIVE_INFINITY;
    for (const sequence of this.#queue) {
      const reason = this.#reasonToEnd(sequence, now);
      if (!reason) continue;
      this.#queue.take(sequence);
      this.#queue.leave(sequence);
      this.#tell(sequence, reason);
    }
    for (const sequence of this.#running) {
      const reason = this.#reasonToEnd(sequence, now);
      if (reason) this.#end(sequence, reason);
    }
  }

  #reasonToEnd({ cancelled, deadline }: Sequence, now: number): EndReason | undefined {
    if (cancelled) return 'cancelled';
    if (deadline <= now) return 'deadline';
    this.#nextDeadline = Math.min(this.#nextDeadline, deadline);
    return undefined;
  }

  #admit(): void {
    const { slots } = this.#options;
    if (this.#queue.size === 0 || this.#running.length === slots) return;
    for (const first of this.#queue.order()) {
      if (this.#awaits(first)) continue;
      if (!first.tokens) {
        first.tokens = new Int32Array(first.cells);
        first.tokens.set(first.prompt);
      }
      // What does not fit holds up those behind it: else it would wait forever beside smaller ones.
      const lease = this.cache.join(first.cacheSpace, first.tokens, first.promptTokens - 1);
      if (!lease) return;
      this.#queue.take(first);
      first.lease = lease;
      first.queuedMs = performance.now() - first.arrivedAt;
      first.past = lease.cached;
      this.#running.push(first);
      this.#prefilling.push(first);
      if (this.#running.length === slots) return;
    }
  }

  /** Whether another one of its tenant and adapter is just evaluating what it begins with: then that is shared, not done twice. */
  #awaits(sequence: Sequence): boolean {
    const { awaited, prompt, promptTokens, cacheSpace } = sequence;
    if (awaited) {
      const { leader, length } = awaited;
      if (!leader.ended && leader.past < length) return true;
      sequence.awaited = undefined;
    }
    if (!this.#options.prefixCache) return false;
    let cached = -1;
    for (const leader of this.#prefilling) {
      if (leader.cacheSpace !== cacheSpace) continue;
      const length = commonPrefix(prompt, leader.prompt, promptTokens - 1);
      if (leader.past >= length) continue;
      if (cached < 0) cached = this.cache.match(cacheSpace, prompt, promptTokens - 1);
      if (length - Math.max(cached, leader.past) < leastAwaited) continue;
      sequence.awaited = { leader, length };
      // Else what is urgent would wait for what is not.
      leader.priority = Math.max(leader.priority, sequence.priority);
      return true;
    }
    return false;
  }

  /** Puts it on, too. Without adapters nothing is looked at. */
  #adapterOfStep(): number {
    const { adapters = [] } = this.#options;
    if (adapters.length <= 1) return 0;
    const index = this.#turns.next(this.#running, performance.now());
    this.#context.useAdapter(adapters[index]);
    return index;
  }

  /** @returns tokens in the batch */
  #fill(): number {
    const { batch } = this.#context;
    this.#rows.length = 0;
    let count = 0;
    let decoding = 0;
    const adapter = this.#adapterOfStep();
    for (const sequence of this.#running) {
      sequence.stepping = 0;
      if (sequence.past < sequence.promptTokens) continue;
      decoding++;
      if (sequence.adapter !== adapter) continue;
      const { lease, past, next } = sequence as Sequence & { lease: Lease };
      lease.tokens[past] = next;
      batch.tokens[count] = next;
      batch.positions[count] = past;
      batch.sequences[count] = lease.id;
      batch.outputs[count] = 1;
      count++;
      sequence.stepping = 1;
      this.#rows.push(sequence);
    }
    if (this.#prefilling.length === 0) return count;
    if (this.#prefilling.length > 1) this.#prefilling.sort(this.#queue.compare);
    let room = this.#options.batchTokens - count;
    // Those of another adapter wait for this step as well.
    if (decoding > 0) room = Math.min(room, this.#chunk.tokens);
    for (const sequence of this.#prefilling) {
      if (room === 0) break;
      if (sequence.adapter !== adapter) continue;
      const { lease, past, promptTokens } = sequence as Sequence & { lease: Lease };
      const left = promptTokens - past;
      const chunk = Math.min(left, room);
      batch.tokens.set(sequence.prompt.subarray(past, past + chunk), count);
      batch.sequences.fill(lease.id, count, count + chunk);
      batch.outputs.fill(0, count, count + chunk);
      for (let i = 0; i < chunk; i++) batch.positions[count + i] = past + i;
      count += chunk;
      room -= chunk;
      sequence.stepping = chunk;
      this.#queue.chargePrompt(sequence, chunk);
      if (chunk === left) {
        batch.outputs[count - 1] = 1;
        this.#rows.push(sequence);
      }
    }
    return count;
  }

  #advance(count: number, ms: number): void {
    let decoded = 0;
    for (const sequence of this.#running) {
      if (sequence.stepping > 0 && sequence.past >= sequence.promptTokens) decoded++;
      sequence.past += sequence.stepping;
    }
    const prefilled = count - decoded;
    this.#throughput.step(ms, decoded, prefilled);
    if (decoded > 0 && prefilled > 0) this.#chunk.step(ms, this.#throughput.estimate(0, decoded), prefilled);
    this.#stepMs += ms;
    this.#decodeTokens += decoded;
    this.#prefillTokens += prefilled;
    if (this.#prefilling.length > 0) this.#growPrefixes();
    const logits = this.#context.logits();
    const size = this.#options.vocabularySize;
    for (let row = 0; row < this.#rows.length; row++) {
      const sequence = this.#rows[row] as Sequence;
      if (sequence.cancelled) continue;
      try {
        if (sequence.request.returnExperts) this.#noteExperts(sequence, row, count);
        const id = sequence.draw(this.#sampler, logits, row * size);
        this.#queue.chargeAnswer(sequence);
        const reason = sequence.accept(id);
        if (reason) this.#end(sequence, reason);
      } catch (error) {
        // Whatever went wrong with one sequence, or with who listens to it, is no reason to stop the others.
        if (!sequence.ended) this.#end(sequence, 'error', error as Error);
      }
    }
  }

  #noteExperts(sequence: Sequence, row: number, count: number): void {
    const { outputs } = this.#context.batch;
    let index = -1;
    for (let left = row; left >= 0; left--) index = outputs.indexOf(1, index + 1);
    const experts = this.#options.experts?.of(index, row, count);
    if (!experts) throw new Error('the routed experts of a step were not seen');
    sequence.noteExperts(experts);
  }

  #growPrefixes(): void {
    let done = 0;
    for (const { lease, past, promptTokens } of this.#prefilling) {
      if (past === promptTokens) done++;
      this.cache.grow(lease as Lease, Math.min(past, promptTokens));
    }
    if (done > 0) this.#prefilling = this.#prefilling.filter(({ past, promptTokens }) => past < promptTokens);
  }

  /** Ends what was in the failed batch; sequences that were not, go on. */
  #fail(error: DecodeError): void {
    for (const sequence of this.#running.filter(({ stepping }) => stepping > 0))
      this.#end(sequence, 'error', error);
    // Nobody builds on what may be damaged.
    this.cache.clear();
  }

  #end(sequence: Sequence, reason: EndReason, error?: Error): void {
    this.#running = this.#running.filter((other) => other !== sequence);
    if (this.#prefilling.includes(sequence))
      this.#prefilling = this.#prefilling.filter((other) => other !== sequence);
    const lease = sequence.lease as Lease;
    this.cache.leave(lease, reason === 'error' ? 0 : sequence.past);
    this.#queue.leave(sequence);
    if (reason === 'stop' || reason === 'length') this.#throughput.answered(sequence.completionTokens);
    this.#tell(sequence, reason, error);
  }

  #tell(sequence: Sequence, reason: EndReason, error?: Error): void {
    try {
      sequence.end(reason, error);
    } catch (thrown) {
      process.emitWarning(thrown as Error);
    }
  }

  /** The prompts that wait or are under way, and answers of the usual length to those that wait. */
  #expectedWait(): number {
    let prompt = this.#queue.tokens;
    for (const { promptTokens, past } of this.#prefilling) prompt += promptTokens - past;
    const busy = this.#running.length === this.#options.slots || this.#queue.size > 0;
    if (!busy) return this.#throughput.estimate(prompt, 0);
    // Those that run are halfway through, on average.
    const answers = this.#queue.size + this.#running.length / 2;
    return this.#throughput.estimate(prompt, answers * this.#throughput.answerTokens);
  }
}

function commonPrefix(a: Int32Array, b: Int32Array, limit: number): number {
  const most = Math.min(a.length, b.length, limit);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
