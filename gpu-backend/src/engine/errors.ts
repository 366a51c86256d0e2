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

/** `close` was called: the engine takes no more requests. */
export class EngineClosedError extends Error {
  override name = 'EngineClosedError';

  constructor() {
    super('the engine is closed');
  }
}
