/**
 * An engine that does what a test tells it, step by step: for faults and moments that the real engine cannot
 * be made to produce on demand (an error in the middle of an answer, a step that never comes, a client that
 * leaves between two tokens). What real decoding does is tested with the real engine.
 */
import { PromptTooLongError } from '../../engine/errors.ts';
import type {
  Engine,
  EngineInfo,
  EngineStats,
  Generation,
  GenerationEnd,
  GenerationEvents,
  GenerationRequest,
  TokenDetails,
} from '../../engine/types.ts';
import type { ExpertTelemetry, Segment } from '../../protocol.ts';

export class ScriptedGeneration implements Generation {
  readonly request: GenerationRequest;
  readonly promptTokens: number;
  completionTokens: number;
  cancelled = false;
  cachedTokens: number | undefined;
  readonly #events: GenerationEvents;
  readonly #onEnd: () => void;

  constructor(request: GenerationRequest, events: GenerationEvents, onEnd: () => void) {
    this.request = request;
    this.promptTokens = request.promptIds.length;
    this.completionTokens = request.continueIds?.length ?? 0;
    this.#events = events;
    this.#onEnd = onEnd;
  }

  text(text: string, ...ids: number[]): void {
    this.completionTokens += ids.length;
    this.#events.onText(text, ids, this.completionTokens);
  }

  /** What was shown for `continueIds`. */
  continued(text: string): void {
    this.#events.onContinued?.(text);
  }

  /** Text and what was asked for beside it. */
  detailed(text: string, ids: readonly number[], details: TokenDetails): void {
    this.completionTokens += ids.length;
    this.#events.onText(text, ids, this.completionTokens, details);
  }

  /** @param ids tokens without text at the end */
  end(
    reason: GenerationEnd['reason'],
    error?: Error,
    ids: readonly number[] = [],
    details?: TokenDetails,
  ): void {
    this.#onEnd();
    this.completionTokens += ids.length;
    const { promptTokens, completionTokens, cachedTokens } = this;
    const rest = {
      ...(ids.length > 0 && { ids, ...(details && { details }) }),
      ...(cachedTokens !== undefined && { cachedTokens }),
    };
    this.#events.onEnd({ reason, promptTokens, completionTokens, ...rest, ...(error && { error }) });
  }

  cancel(): void {
    this.cancelled = true;
  }
}

export class ScriptedEngine implements Engine {
  readonly info: EngineInfo = {
    modelName: 'scripted',
    vocabulary: 1000,
    trainedContext: 100,
    maxSequence: 100,
    layers: 2,
    experts: 8,
    expertsUsed: 2,
    tokens: { bos: 1, eos: 2, begin: 998, end: 999 },
    library: { version: '0', backends: [], devices: [] },
    placement: { gpuLayers: 0, cpuExpertLayers: 0, overridden: 0, buffers: [] },
    warnings: [],
  };
  readonly running = new Set<ScriptedGeneration>();
  steps = 0;
  closed = false;
  /** Thrown by the next `generate`. */
  refusal: Error | undefined;
  #arrivals: ((generation: ScriptedGeneration) => void)[] = [];

  get stats(): EngineStats {
    const active = this.running.size;
    const work = {
      stepMs: 0,
      prefillTokens: 0,
      decodeTokens: 0,
      prefillTokensPerSecond: 0,
      answerSeconds: 0,
    };
    const cells = { kvUsed: active * 100, kvCached: 0, kvTotal: 400 };
    const queue = { queued: 0, queuedTokens: 0, expectedWaitMs: 0 };
    return { slots: 4, active, ...queue, ...cells, steps: this.steps, ...work };
  }

  /** One token a character: enough to count with. */
  tokenize(segments: readonly Segment[]): Int32Array {
    return Int32Array.from(
      segments.flatMap((segment) => ('text' in segment ? [...segment.text].map(() => 7) : [1])),
    );
  }

  generate(request: GenerationRequest, events: GenerationEvents): Generation {
    if (this.refusal) throw this.refusal;
    if (request.promptIds.length >= this.info.maxSequence) {
      throw new PromptTooLongError(request.promptIds.length, this.info.maxSequence);
    }
    const generation: ScriptedGeneration = new ScriptedGeneration(request, events, () => {
      this.running.delete(generation);
    });
    this.running.add(generation);
    this.#arrivals.shift()?.(generation);
    return generation;
  }

  /** The next generation that a request starts. Ask before sending the request. */
  arrival(): Promise<ScriptedGeneration> {
    return new Promise((resolve) => {
      this.#arrivals.push(resolve);
    });
  }

  /** One step: what was cancelled ends. */
  step(): void {
    this.steps++;
    for (const generation of [...this.running]) if (generation.cancelled) generation.end('cancelled');
  }

  async expertTelemetry(): Promise<ExpertTelemetry> {
    const counted = { since: 0, steps: this.steps, steps_sampled: 0, tokens_sampled: 0, sampling_cost: 0 };
    return { mode: 'off', experts: 8, experts_used: 2, ...counted, layers: [] };
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
