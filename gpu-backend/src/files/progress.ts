/**
 * How far a long task is: one line that is redrawn on a terminal; elsewhere (a log, a pipe) a line now and then.
 * Own code, because the common bars draw nothing at all, or every step, where there is no terminal.
 */
import type { Writable } from 'node:stream';

export interface ProgressStream extends Pick<Writable, 'write'> {
  isTTY?: boolean;
  columns?: number;
}

const redrawMs = 100;
const quietLineMs = 10_000;

export class Progress {
  readonly #label: string;
  readonly #total: number;
  readonly #format: (amount: number) => string;
  readonly #stream: ProgressStream;
  readonly #started = Date.now();
  #lastDrawn = Date.now();
  #done: number;
  /** Counts for the rate only: what was there before we began cost no time. */
  readonly #startedAt: number;

  /** @param total bytes, or of what `unit` counts */
  constructor(
    label: string,
    total: number,
    { done = 0, stream = process.stderr as ProgressStream, unit = 'bytes' } = {},
  ) {
    this.#label = label;
    this.#total = total;
    this.#format = unit === 'bytes' ? formatBytes : (amount) => `${Number(amount.toFixed(1))} ${unit}`;
    this.#stream = stream;
    this.#done = done;
    this.#startedAt = done;
  }

  /** @param bytes (or units) since the last call; negative when something has to be done again */
  advance(bytes: number): void {
    this.#done += bytes;
    const now = Date.now();
    if (now - this.#lastDrawn < (this.#stream.isTTY ? redrawMs : quietLineMs)) return;
    this.#lastDrawn = now;
    this.#draw(now);
  }

  /** Leaves the line as it is and goes to the next; a failure's message then has a line of its own. */
  end(): void {
    if (!this.#stream.isTTY) return;
    this.#draw(Date.now());
    this.#stream.write('\n');
  }

  #draw(now: number): void {
    const share = this.#total > 0 ? Math.min(1, this.#done / this.#total) : 1;
    const seconds = Math.max(0.001, (now - this.#started) / 1000);
    const rate = (this.#done - this.#startedAt) / seconds;
    const rest = rate > 0 ? ` ${duration((this.#total - this.#done) / rate)} left` : '';
    const figures = `${(share * 100).toFixed(0).padStart(3)} %  ${this.#format(this.#done)} of ${this.#format(this.#total)}, ${this.#format(rate)}/s${rest}`;
    if (!this.#stream.isTTY) {
      this.#stream.write(`${this.#label} ${figures.trimStart()}\n`);
      return;
    }
    const room = (this.#stream.columns ?? 80) - this.#label.length - figures.length - 5;
    const width = Math.max(0, Math.min(30, room));
    const filled = Math.round(share * width);
    const bar = width >= 8 ? `[${'#'.repeat(filled)}${' '.repeat(width - filled)}] ` : '';
    this.#stream.write(`\r\x1b[K${this.#label} ${bar}${figures}`);
  }
}

/** Decimal units, as hubs and disks count. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : value.toPrecision(3)} ${units[unit]}`;
}

function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
