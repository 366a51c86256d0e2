/** What the watchdog looks at. */
interface Watched {
  /** When the oldest unanswered call began (`performance.now()`), if there is one. */
  waitingSince(): number | undefined;
  /** Steps so far, or undefined while no step is due. */
  stepping(): number | undefined;
  onHang(ms: number): void;
}

/** Sees that work which is due does not get done: native code that hangs says nothing itself. */
export class Watchdog {
  readonly #timeoutMs: number;
  readonly #watched: Watched;
  #timer: NodeJS.Timeout | undefined;
  #steps: number | undefined;
  #steppedAt = 0;
  #lookedAt = 0;

  /** @param timeoutMs 0 never barks */
  constructor(timeoutMs: number, watched: Watched) {
    this.#timeoutMs = timeoutMs;
    this.#watched = watched;
  }

  start(): void {
    if (this.#timeoutMs === 0) return;
    clearInterval(this.#timer);
    this.stepped();
    this.#lookedAt = performance.now();
    this.#timer = setInterval(() => this.#look(), this.#period).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Work begins now. */
  stepped(): void {
    this.#steppedAt = performance.now();
    this.#steps = this.#watched.stepping();
  }

  get #period(): number {
    return Math.min(1000, this.#timeoutMs / 4);
  }

  #look(): void {
    const now = performance.now();
    const late = now - this.#lookedAt > 2 * this.#period;
    this.#lookedAt = now;
    const steps = this.#watched.stepping();
    // A look that comes late means that this process stood still, and what has come meanwhile is not read yet.
    if (late || steps === undefined || steps !== this.#steps) this.stepped();
    const waited = late ? 0 : now - (this.#watched.waitingSince() ?? now);
    const longest = Math.max(now - this.#steppedAt, waited);
    if (longest > this.#timeoutMs) this.#watched.onHang(longest);
  }
}
