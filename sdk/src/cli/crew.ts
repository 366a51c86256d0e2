/** Work that some do at a time, and that Ctrl-C, or what nobody can get over, ends early. */
import type { FileHandle } from 'node:fs/promises';
import type { HuoziError } from '../errors.ts';
import type { progressBar } from './terminal.ts';

export class Crew {
  readonly #stop = new AbortController();
  #fatal: unknown;

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Ends all of it, with the first such error. */
  giveUp(error: unknown): void {
    this.#fatal ??= error;
    this.#stop.abort();
  }

  /** Resolves when all are through, or were interrupted; `file` is whole then, and closed. */
  async run(
    size: number,
    work: () => Promise<void>,
    file: FileHandle,
    bar: ReturnType<typeof progressBar>,
  ): Promise<void> {
    const onInterrupt = () => this.#stop.abort();
    process.once('SIGINT', onInterrupt);
    try {
      await Promise.all(Array.from({ length: size }, work));
    } finally {
      process.off('SIGINT', onInterrupt);
      bar.end();
      await file.sync();
      await file.close();
    }
    if (this.#fatal) throw this.#fatal;
  }
}

/** What no further request can get over: the key is wrong, or there is none. */
export function isHopeless(error: unknown): boolean {
  const { status, code } = Object(error) as Partial<HuoziError>;
  return status === 401 || status === 403 || code === 'no_key';
}
