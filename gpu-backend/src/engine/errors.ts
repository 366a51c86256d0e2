/** Why `Engine.generate` refused a request. What happens after that is told through `GenerationEvents.onEnd`. */

/** The prompt leaves no room for an answer. Counts are tokens. */
export class PromptTooLongError extends Error {
  override name = 'PromptTooLongError';
  readonly promptTokens: number;
  readonly maxSequence: number;

  constructor(promptTokens: number, maxSequence: number) {
    super(`the prompt has ${promptTokens} tokens, and prompt and answer together may have ${maxSequence}`);
    this.promptTokens = promptTokens;
    this.maxSequence = maxSequence;
  }
}

/** `continueIds` are no beginning of an answer to this request. */
export class ContinuationError extends Error {
  override name = 'ContinuationError';
}

/** `logit_bias` names a token that the vocabulary lacks. */
export class UnknownTokenError extends Error {
  override name = 'UnknownTokenError';

  constructor(id: number) {
    super(`there is no token ${id}`);
  }
}

/** `close` was called: the engine takes no more requests. */
export class EngineClosedError extends Error {
  override name = 'EngineClosedError';

  constructor() {
    super('the engine is closed');
  }
}

/** As many requests or prompt tokens wait as may wait. */
export class QueueFullError extends Error {
  override name = 'QueueFullError';
  readonly queued: number;
  readonly queuedTokens: number;
  /** When what waits now will have been served, from measured throughput; 0 if nothing was measured yet. */
  readonly waitMs: number;

  constructor(queued: number, queuedTokens: number, waitMs: number) {
    super(`${queued} requests with ${queuedTokens} prompt tokens wait already`);
    this.queued = queued;
    this.queuedTokens = queuedTokens;
    this.waitMs = waitMs;
  }
}

/** `returnExperts` where the library offers no way to see them. */
export class ExpertsUnavailableError extends Error {
  override name = 'ExpertsUnavailableError';

  constructor() {
    super('routed experts cannot be read on this platform');
  }
}

/** A request names an adapter that this engine was not given. */
export class UnknownAdapterError extends Error {
  override name = 'UnknownAdapterError';

  constructor(adapter: string) {
    super(`there is no adapter ${adapter}`);
  }
}

/** An adapter's file is missing or does not suit the model, in one line. */
export class AdapterError extends Error {
  override name = 'AdapterError';
}

/** The machine cannot do what was asked of it, in one line. */
export class PlacementError extends Error {
  override name = 'PlacementError';
}
