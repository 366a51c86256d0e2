import type { GenerationEnd, GenerationRequest, ServedEngine, TokenDetails } from '../engine/types.ts';
import type { NodeUsage } from '../protocol.ts';
import { startChoices } from './choices.ts';
import { ApiError, type CancelCause } from './errors.ts';

/** Where an answer's events go. As with the engine's own events, nothing here may throw. */
export interface GenerationSink {
  /** @param position tokens told so far, of all choices */
  onText(
    text: string,
    ids: readonly number[],
    position: number,
    details: TokenDetails | undefined,
    choice: number,
  ): void;
  /** With `continueIds`, which only one choice can have. */
  onContinued(text: string): void;
  /** One choice has ended with `stop` or `length`. */
  onChoiceEnd(end: GenerationEnd, position: number, choice: number): void;
  /** All of it has ended. */
  onEnd(end: GenerationEnd, usage: NodeUsage, cause: CancelCause | undefined): void;
}

export interface RunningGeneration {
  /** Frees the sequence at the next step; nothing after the end. The first cause is the one that counts. */
  cancel(cause: CancelCause): void;
  readonly ended: Promise<NodeUsage>;
  /** Rejects with what the engine refuses with; then the sink is told nothing. */
  readonly accepted: Promise<void>;
}

interface EndedGeneration {
  usage: NodeUsage;
  forgetAt: number;
}

export interface GenerationsOptions {
  /** How long an ended generation's usage can be asked for, milliseconds. */
  retainMs?: number;
  /** How many ended generations are remembered at most; the oldest go first. */
  maxRetained?: number;
}

/** What runs on this node, by the id that the edge gave, and what ended a short while ago. */
export class Generations {
  readonly #running = new Map<string, RunningGeneration>();
  /** In order of ending, so that the first entries are the first to be forgotten. */
  readonly #ended = new Map<string, EndedGeneration>();
  readonly #retainMs: number;
  readonly #maxRetained: number;

  constructor({ retainMs = 300_000, maxRetained = 10_000 }: GenerationsOptions = {}) {
    this.#retainMs = retainMs;
    this.#maxRetained = maxRetained;
  }

  get size(): number {
    return this.#running.size;
  }

  /**
   * @param requests one for each choice, of the same prompt
   * @throws ApiError (409) when `id` runs already, and whatever `Engine.generate` refuses with
   */
  start(
    id: string,
    engine: ServedEngine,
    requests: readonly GenerationRequest[],
    sink: GenerationSink,
  ): RunningGeneration {
    if (this.#running.has(id)) {
      throw new ApiError(409, 'A generation with this id is running.', {
        param: 'events.id',
        code: 'duplicate_id',
      });
    }
    let cause: CancelCause | undefined;
    const { promise: ended, resolve } = withResolvers<NodeUsage>();
    const choices = startChoices(engine, requests, sink, (end) => {
      const usage: NodeUsage = {
        prompt_tokens: end.promptTokens,
        completion_tokens: end.completionTokens,
        ...(end.cachedTokens === undefined ? {} : { cached_tokens: end.cachedTokens }),
        reason: end.reason,
      };
      this.#running.delete(id);
      this.#remember(id, usage);
      try {
        sink.onEnd(end, usage, cause);
      } finally {
        resolve(usage);
      }
    });
    const running: RunningGeneration = {
      cancel: (by) => {
        if (this.#running.get(id) !== running) return;
        cause ??= by;
        choices.cancel();
      },
      ended,
      accepted: choices.accepted.catch((refusal) => {
        this.#running.delete(id);
        const prompt_tokens = requests[0]?.promptIds.length ?? 0;
        resolve({ prompt_tokens, completion_tokens: 0, reason: 'error' });
        throw refusal;
      }),
    };
    this.#running.set(id, running);
    return running;
  }

  /** Ends `id` if it runs. Its usage, also for a while after the end; undefined for an unknown id. */
  cancel(id: string): Promise<NodeUsage> | NodeUsage | undefined {
    const running = this.#running.get(id);
    if (running) {
      running.cancel('request');
      return running.ended;
    }
    const ended = this.#ended.get(id);
    return ended && ended.forgetAt > Date.now() ? ended.usage : undefined;
  }

  cancelAll(cause: CancelCause): void {
    for (const running of this.#running.values()) running.cancel(cause);
  }

  /** Settles when everything that runs now has ended. */
  async idle(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  #remember(id: string, usage: NodeUsage): void {
    const now = Date.now();
    this.#ended.delete(id);
    this.#ended.set(id, { usage, forgetAt: now + this.#retainMs });
    for (const [oldest, { forgetAt }] of this.#ended) {
      if (forgetAt > now && this.#ended.size <= this.#maxRetained) break;
      this.#ended.delete(oldest);
    }
  }
}

/** Promise.withResolvers, which Node has from 22 on. */
function withResolvers<T>() {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
