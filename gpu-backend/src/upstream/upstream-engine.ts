/**
 * An engine behind HTTP, for the server like one of our own: prompts are tokenised here, and its tokens become text
 * here. What differs from engine to engine (fields, the form of events, metrics) is its adapter's.
 */
import {
  ContinuationError,
  EngineClosedError,
  PromptTooLongError,
  QueueFullError,
  UnknownAdapterError,
  UnknownTokenError,
} from '../engine/errors.ts';
import type {
  EngineInfo,
  EngineStats,
  GenerationEvents,
  GenerationRequest,
  ServedEngine,
  ServedGeneration,
} from '../engine/types.ts';
import { EngineLostError, EngineRestartingError } from '../engine-process/errors.ts';
import type { EndReason, ExpertTelemetry, Segment } from '../protocol.ts';
import { Answer, type Drawn } from './answer.ts';
import {
  UpstreamFailedError,
  UpstreamMalformedError,
  UpstreamStatusError,
  UpstreamUnreachableError,
} from './errors.ts';
import type { KnownModel } from './vocabulary.ts';

/** A request as the adapter gets it. */
export interface UpstreamRequest extends GenerationRequest {
  /** Prompt and the answer so far. */
  allIds: number[];
  /** Tokens that may still come, of the answer so far none. */
  room: number;
  /** All ids that end it, the model's included. */
  ends: readonly number[];
}

export interface UpstreamProgress {
  /** The engine has taken the request: what it throws before is a refusal. */
  onAccepted(): void;
  onDrawn(drawn: Drawn): void;
}

export interface UpstreamEnd {
  reason: EndReason;
  cachedTokens?: number;
  /** Of an engine that tells no ids, as it counts. */
  completionTokens?: number;
}

export interface UpstreamAdapter {
  /** What the engine is called where it is told about, such as `vLLM 0.32.0`. */
  readonly name: string;
  /** The engine's own list of what it runs on; shown to operators. */
  readonly devices?: readonly string[];
  /** Longest prompt + answer, tokens. */
  readonly maxSequence: number;
  /** Sequences that decode at the same time, as far as known. */
  readonly slots: number;
  readonly state?: 'ready' | 'restarting';
  readonly restarts?: number;
  readonly residentBytes?: number;
  /** Of the engine itself, as last seen; what is left out is counted here. */
  readonly stats: Partial<EngineStats>;
  readonly warnings?: readonly string[];
  /** LoRA adapters that it has loaded, by name. */
  readonly loras?: readonly string[];
  /** Texts that end an answer, where the engine tells text alone. */
  readonly endTexts?: readonly string[];
  /** The body to send. @throws UnsupportedFieldError for what the engine does not have */
  body(request: UpstreamRequest): object;
  /**
   * Sends it and tells what comes, until the answer's end.
   * @throws UpstreamStatusError, UpstreamUnreachableError, UpstreamMalformedError
   */
  run(
    body: object,
    request: UpstreamRequest,
    progress: UpstreamProgress,
    signal: AbortSignal,
  ): Promise<UpstreamEnd>;
  close(): Promise<void>;
}

export interface UpstreamEngineOptions {
  /** Requests that may wait, beside those for which a slot is free. @default 256 */
  maxQueue?: number;
}

export class UpstreamEngine implements ServedEngine {
  readonly info: EngineInfo;
  readonly #model: KnownModel;
  readonly #adapter: UpstreamAdapter;
  readonly #maxQueue: number;
  readonly #running = new Set<UpstreamGeneration>();
  readonly #counted = { prefill: 0, decode: 0, answers: 0, answerMs: 0 };
  #closing: Promise<void> | undefined;

  constructor(model: KnownModel, adapter: UpstreamAdapter, { maxQueue = 256 }: UpstreamEngineOptions = {}) {
    this.#model = model;
    this.#adapter = adapter;
    this.#maxQueue = maxQueue;
    const { name, vocabulary, trainedContext, layers, experts, expertsUsed, tokens } = model;
    this.info = {
      ...{ modelName: name, vocabulary, trainedContext, layers, experts, expertsUsed, tokens },
      maxSequence: adapter.maxSequence,
      library: { version: adapter.name, backends: [], devices: adapter.devices ?? [] },
      placement: { gpuLayers: 0, cpuExpertLayers: 0, overridden: 0, buffers: [] },
      warnings: adapter.warnings ?? [],
      ...(adapter.loras?.length && { adapters: adapter.loras }),
    };
  }

  get state(): 'ready' | 'restarting' {
    return this.#adapter.state ?? 'ready';
  }

  get restarts(): number {
    return this.#adapter.restarts ?? 0;
  }

  get residentBytes(): number {
    return this.#adapter.residentBytes ?? 0;
  }

  /** Of this node's own requests; the adapter's figures, which may be all nodes', go before. */
  get stats(): EngineStats {
    const { prefill, decode, answers, answerMs } = this.#counted;
    const { maxSequence, slots } = this.#adapter;
    const { active: itsActive = 0, queued: itsQueued = 0, ...others } = this.#adapter.stats;
    const own = Math.min(this.#running.size, slots);
    const active = Math.max(own, itsActive);
    const queued = Math.max(this.#running.size - own, itsQueued);
    let [at, queuedTokens, kvUsed] = [0, 0, 0];
    for (const { promptTokens, completionTokens } of this.#running) {
      if (at++ < slots) kvUsed += promptTokens + completionTokens;
      else queuedTokens += promptTokens;
    }
    const answerSeconds = answers === 0 ? 0 : answerMs / answers / 1000;
    return {
      ...{ slots, active, queued, queuedTokens },
      expectedWaitMs: (1000 * answerSeconds * queued) / slots,
      prefillTokensPerSecond: 0,
      answerSeconds,
      ...{ kvUsed, kvCached: 0, kvTotal: slots * maxSequence },
      ...{ steps: decode, stepMs: 0, prefillTokens: prefill, decodeTokens: decode },
      ...others,
    };
  }

  tokenize(segments: readonly Segment[]): Int32Array {
    return this.#model.tokenize(segments);
  }

  generate(request: GenerationRequest, events: GenerationEvents): ServedGeneration {
    if (this.#closing) throw new EngineClosedError();
    this.#check(request);
    const { vocabulary, tokens, pieces } = this.#model;
    const asked = request.stopIds.filter((id) => id < vocabulary);
    const goesPastEos = request.ignoreEos && !request.grammar;
    const stopIds = new Set(goesPastEos ? asked : [...asked, tokens.eos, tokens.begin, tokens.end]);
    const limit = Math.min(request.maxTokens, this.#adapter.maxSequence - request.promptIds.length);
    const { promptIds, continueIds = [] } = request;
    const upstream: UpstreamRequest = {
      ...request,
      allIds: [...promptIds, ...continueIds],
      room: limit - continueIds.length,
      ends: [...stopIds],
    };
    const body = this.#adapter.body(upstream);
    const answer = new Answer(request, events, pieces, stopIds, limit, this.#adapter.endTexts);
    if (this.state === 'restarting') throw new EngineRestartingError(1000);
    const { slots, queued, queuedTokens, expectedWaitMs } = this.stats;
    if (this.#running.size >= slots + this.#maxQueue) {
      throw new QueueFullError(queued, queuedTokens, expectedWaitMs);
    }
    const generation = new UpstreamGeneration(answer, request.deadlineMs, this.#adapter.name, (how) => {
      this.#running.delete(generation);
      if (how === undefined) return;
      this.#counted.prefill += answer.promptTokens;
      this.#counted.decode += answer.completionTokens - continueIds.length;
      this.#counted.answers++;
      this.#counted.answerMs += how.ms;
    });
    this.#running.add(generation);
    generation.start((progress, signal) => this.#adapter.run(body, upstream, progress, signal));
    return generation;
  }

  async expertTelemetry(): Promise<ExpertTelemetry> {
    const { experts, expertsUsed } = this.info;
    const counted = { steps: 0, steps_sampled: 0, tokens_sampled: 0, sampling_cost: 0, layers: [] };
    return { mode: 'unavailable', since: 0, experts, experts_used: expertsUsed, ...counted };
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const generation of this.#running) generation.cancel();
      await this.#adapter.close();
    })();
    return this.#closing;
  }

  #check({ promptIds, continueIds = [], sampling, maxTokens, adapter }: GenerationRequest): void {
    if (adapter !== undefined && !this.#adapter.loras?.includes(adapter))
      throw new UnknownAdapterError(adapter);
    const { maxSequence } = this.#adapter;
    const known = (id: number) => id >= 0 && id < this.#model.vocabulary;
    if (promptIds.length === 0) throw new RangeError('the prompt has no tokens');
    if (promptIds.length >= maxSequence) throw new PromptTooLongError(promptIds.length, maxSequence);
    if (!(maxTokens >= 1)) throw new RangeError(`maxTokens is ${maxTokens}`);
    for (const id of promptIds) if (!known(id)) throw new RangeError(`token ${id} is not in the vocabulary`);
    for (const id of Object.keys(sampling.logit_bias ?? {})) {
      if (!known(Number(id))) throw new UnknownTokenError(Number(id));
    }
    for (const id of continueIds) if (!known(id)) throw new ContinuationError(`there is no token ${id}`);
  }
}

/**
 * An engine that has not refused by then has taken the request: llama-server and Ollama say nothing until their first
 * token, and the edge gives up a node that has not accepted within four seconds.
 */
const silentlyAcceptedMs = 1_000;

class UpstreamGeneration implements ServedGeneration {
  readonly accepted: Promise<void>;
  readonly #answer: Answer;
  readonly #engine: string;
  readonly #abort = new AbortController();
  readonly #deadline: NodeJS.Timeout | undefined;
  readonly #onEnd: (how: { ms: number } | undefined) => void;
  readonly #begin = performance.now();
  #accept!: () => void;
  #refuse!: (error: Error) => void;
  #wasAccepted = false;

  /** @param onEnd gets undefined when it was refused */
  constructor(
    answer: Answer,
    deadlineMs: number | undefined,
    engine: string,
    onEnd: (how: { ms: number } | undefined) => void,
  ) {
    this.#answer = answer;
    this.#engine = engine;
    this.#onEnd = onEnd;
    this.accepted = new Promise((resolve, reject) => {
      this.#accept = resolve;
      this.#refuse = reject;
    });
    // Who does not wait for it learns of a refusal nowhere else, and that is theirs to decide.
    this.accepted.catch(() => undefined);
    if (deadlineMs !== undefined) {
      this.#deadline = setTimeout(() => this.#end('deadline'), Math.min(deadlineMs, 2 ** 31 - 1));
    }
  }

  get promptTokens(): number {
    return this.#answer.promptTokens;
  }

  get completionTokens(): number {
    return this.#answer.completionTokens;
  }

  start(run: (progress: UpstreamProgress, signal: AbortSignal) => Promise<UpstreamEnd>): void {
    // Its end was in `continueIds`, or nothing: a later turn, because who asked has no generation yet.
    if (this.#answer.reason) setImmediate(() => this.#end(this.#answer.reason!));
    else void this.#run(run);
  }

  cancel(): void {
    if (!this.#answer.ended && !this.#abort.signal.aborted) setImmediate(() => this.#end('cancelled'));
  }

  async #run(run: (progress: UpstreamProgress, signal: AbortSignal) => Promise<UpstreamEnd>): Promise<void> {
    const answer = this.#answer;
    const onAccepted = () => {
      clearTimeout(silence);
      this.#wasAccepted = true;
      this.#accept();
    };
    const silence = setTimeout(onAccepted, silentlyAcceptedMs);
    const progress: UpstreamProgress = {
      onAccepted,
      onDrawn: (drawn) => {
        if (answer.ended) return;
        const reason = answer.take(drawn);
        // The engine knows of the other ends itself, and has more to tell then.
        if (answer.foundString && reason) this.#end(reason);
      },
    };
    try {
      const { reason, cachedTokens, completionTokens } = await run(progress, this.#abort.signal);
      if (answer.ended) return;
      answer.cachedTokens = cachedTokens;
      answer.completionTokens = Math.max(completionTokens ?? 0, answer.completionTokens);
      this.#accept();
      this.#settle(() => answer.finish(reason));
    } catch (thrown) {
      if (answer.ended) return;
      if (answer.reason) return this.#end(answer.reason);
      const error = engineError(thrown, this.#engine);
      if (this.#wasAccepted) return this.#end('error', error);
      clearTimeout(this.#deadline);
      answer.ended = true;
      this.#onEnd(undefined);
      this.#refuse(error);
    } finally {
      clearTimeout(silence);
    }
  }

  #end(reason: EndReason, error?: Error): void {
    if (this.#answer.ended) return;
    this.#abort.abort();
    this.#accept();
    this.#settle(() => this.#answer.end(reason, error));
  }

  #settle(tell: () => void): void {
    clearTimeout(this.#deadline);
    this.#onEnd({ ms: performance.now() - this.#begin });
    tell();
  }
}

/** What an engine's failure is to the server. */
function engineError(thrown: unknown, engine: string): Error {
  if (thrown instanceof UpstreamUnreachableError) return new EngineLostError(thrown.message, '');
  if (thrown instanceof UpstreamStatusError) {
    const { status, retryAfterMs = 1000 } = thrown;
    if (status === 429) return new QueueFullError(0, 0, retryAfterMs);
    if (status === 503) return new EngineRestartingError(retryAfterMs);
    // Goes to who asked; the others go to the log, and an engine's words may quote the prompt.
    if (status === 400 || status === 422) return thrown;
    return new UpstreamStatusError(status, 'its own log says why', undefined);
  }
  if (thrown instanceof UpstreamFailedError) return new EngineLostError(thrown.message, '');
  if (thrown instanceof UpstreamMalformedError)
    return new EngineLostError(`${engine}: ${thrown.message}`, '');
  return thrown as Error;
}
