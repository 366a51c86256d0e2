import type { Logger } from 'pino';

/** Whether an engine is there, asked again and again. */
export class Reachability {
  readonly #ask: () => Promise<unknown>;
  readonly #engine: string;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #isThere = true;

  /** @param ask rejects where it is not */
  constructor(ask: () => Promise<unknown>, engine: string, log: Logger, everyMs = 1_000) {
    this.#ask = ask;
    this.#engine = engine;
    this.#log = log;
    this.#timer = setInterval(() => void this.look(), everyMs).unref();
  }

  get state(): 'ready' | 'restarting' {
    return this.#isThere ? 'ready' : 'restarting';
  }

  async look(): Promise<void> {
    const error: unknown = await this.#ask().then(
      () => undefined,
      (err) => err,
    );
    if (this.#isThere === (error === undefined)) return;
    this.#isThere = error === undefined;
    if (this.#isThere) this.#log.info(`${this.#engine} answers again`);
    else this.#log.error({ err: error }, `${this.#engine} does not answer`);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
