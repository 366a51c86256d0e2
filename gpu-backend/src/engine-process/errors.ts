/** The engine's process ended while it worked: its generations ended with this. */
export class EngineLostError extends Error {
  override name = 'EngineLostError';
  /** How it ended: a signal, an exit code, or that it hung. */
  readonly how: string;

  constructor(how: string, lastWords: string) {
    super(`the engine's process was lost (${how})${lastWords && `: ${lastWords}`}`);
    this.how = how;
  }
}

/** The engine's process is being started again. */
export class EngineRestartingError extends Error {
  override name = 'EngineRestartingError';
  /** When it may be back, milliseconds from now: the wait before the next start and what the last load took. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super('the engine is being started again');
    this.retryAfterMs = retryAfterMs;
  }
}
