/** One reader of an answer, as far as it has got. */
import { ClientStream } from '../client-stream.ts';
import type { ToldLog } from './told-log.ts';

export class Follower {
  readonly #client: ClientStream;
  readonly #log: ToldLog;
  #at: number;
  #waits = false;
  #over = false;

  /**
   * @param after number of the last event that it has
   * @param onOver it has left, or has been told all
   */
  constructor(log: ToldLog, after: number, probe: Uint8Array, onOver: () => void) {
    this.#log = log;
    this.#at = after;
    this.#client = new ClientStream(probe, () => {
      this.#over = true;
      onOver();
    });
    this.#onOver = onOver;
  }
  readonly #onOver: () => void;

  get readable(): ReadableStream<Uint8Array> {
    return this.#client.readable;
  }

  /** Tells what it has not heard, as fast as it reads. */
  go(): void {
    if (this.#waits || this.#over) return;
    for (let next = this.#log.after(this.#at); next; next = this.#log.after(this.#at)) {
      this.#at = next.last;
      const full = this.#client.write(next.bytes);
      if (!full) continue;
      this.#waits = true;
      void full.then(() => {
        this.#waits = false;
        this.go();
      });
      return;
    }
    if (this.#log.ended) this.close();
  }

  /** @param bytes what it is told last, whatever it has not heard */
  close(bytes?: Uint8Array): void {
    if (this.#over) return;
    this.#over = true;
    if (bytes) this.#client.write(bytes);
    void this.#client.end();
    this.#onOver();
  }

  probe(): void {
    this.#client.probe();
  }
}
