/**
 * An answer while it is made: takes from the relay what a client would get, and tells it to whoever follows.
 *
 * What can be resumed is stored before it is told, some of it at a time: the first event at once, the others together
 * with what came within the 50 ms after the last write. Only so can no event be told otherwise after a restart. What
 * has an idempotency key alone is stored at its end.
 */
import { EdgeError, errorEvent, type Problem } from '../errors.ts';
import { closesStream, isPing, join } from '../event-bytes.ts';
import type { Kept, Production } from '../kept.ts';
import type { AnswerStore, Stored } from './answer-store.ts';
import { Follower } from './follower.ts';
import { Numbering } from './numbering.ts';
import type { AnswerStatus } from './stream-api.ts';
import { ToldLog } from './told-log.ts';

/** Between two writes of one answer. On Cloudflare a million of them cost a dollar. */
const writeEveryMs = 50;
/**
 * Where a write takes long (a busy disk, which on one machine holds everybody up) the next one waits so many times as
 * long, so that writing never becomes the main thing.
 */
const restPerWrite = 8;
const longestRestMs = 1_000;
/** So long an answer that cannot be resumed waits for somebody to follow it. */
const graceMs = 10_000;
/** So often it is looked whether an answer is still being made. */
export const watchMs = 5_000;
const defaultRetentionSeconds = 600;
const encoder = new TextEncoder();
const probes = { json: encoder.encode(' '), events: encoder.encode(': ping\n\n') };

export class RunningAnswer implements Kept {
  readonly answerId: string | undefined;
  readonly name: string | undefined;
  readonly log: ToldLog;
  readonly #store: AnswerStore;
  readonly #stored: Stored;
  readonly #retentionMs: number;
  readonly #numbering: Numbering;
  readonly #stopping = new AbortController();
  readonly #followers = new Set<Follower>();
  /** Settles when it has ended, or is interrupted. */
  readonly over: Promise<void>;
  readonly #onOver: () => void;
  #holds = 0;
  #grace: ReturnType<typeof setTimeout> | null = null;
  #release: () => void = () => undefined;
  #begun: boolean;
  /** Numbered, and not stored. */
  #pending: Uint8Array | undefined;
  #writing: Promise<void> | undefined;
  #writtenAt = 0;
  #restMs = writeEveryMs;
  #storedLast: number;
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** What comes now is its end, which is stored with the word that it is the end. */
  #ending = false;
  #problem: Problem | undefined;

  /**
   * @param numbering where it goes on; undefined: at its beginning
   * @param onOver called when it has ended, or is interrupted
   */
  constructor(
    store: AnswerStore,
    stored: Stored,
    options: {
      answerId: string | undefined;
      name: string | undefined;
      retentionSeconds: string | undefined;
      numbering: Numbering | undefined;
      onOver: () => void;
    },
  ) {
    this.#store = store;
    this.#stored = stored;
    this.answerId = options.answerId;
    this.name = options.name;
    this.#retentionMs = 1_000 * (Number(options.retentionSeconds) || defaultRetentionSeconds);
    this.#numbering = options.numbering ?? new Numbering();
    this.#storedLast = this.#numbering.last;
    this.#begun = options.numbering !== undefined;
    let over!: () => void;
    this.over = new Promise((resolve) => {
      over = resolve;
    });
    this.#onOver = () => {
      over();
      options.onOver();
    };
    this.log = new ToldLog(this.#numbering.last, stored.resumable, (n) => store.after(n));
  }

  /** Aborts when it is to end. */
  get stopped(): AbortSignal {
    return this.#stopping.signal;
  }

  get stored(): Stored {
    return this.#stored;
  }

  stop(problem: Problem): void {
    this.#stopping.abort(new EdgeError(problem));
  }

  /** @returns to be called when the one that is interested no longer is */
  hold(): () => void {
    this.#holds++;
    clearTimeout(this.#grace);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      if (--this.#holds > 0 || this.#stored.resumable || this.log.ended) return;
      this.#grace = setTimeout(() => this.stop({ kind: 'client_gone' }), graceMs);
    };
  }

  follow(after: number): ReadableStream<Uint8Array> {
    const release = this.hold();
    const probe = this.#stored.contentType.startsWith('application/json') ? probes.json : probes.events;
    const follower = new Follower(this.log, after, probe, () => {
      this.#followers.delete(follower);
      release();
    });
    this.#followers.add(follower);
    follower.go();
    if (!this.log.ended) follower.probe();
    return follower.readable;
  }

  begun(production: Production | undefined, release: () => void): void {
    this.#release = release;
    if (this.#begun || !this.#stored.resumable) return;
    this.#begun = true;
    this.#stored.production = production;
    this.#store.begin(this.#stored);
    this.#store.wakeAt(Date.now() + watchMs);
  }

  write(bytes: Uint8Array): undefined {
    if (isPing(bytes)) return;
    if (!this.#stored.resumable) {
      const number = this.log.last + 1;
      this.#tell({ first: number, last: number, bytes });
      return;
    }
    if (closesStream(bytes)) this.#ending = true;
    const numbered = this.#numbering.number(bytes);
    if (numbered.length > 0) this.#pending = this.#pending ? join(this.#pending, numbered) : numbered;
    this.#writeSoon();
  }

  ending(problem: Problem | undefined, stranded: boolean): boolean {
    if (!problem || !stranded || !this.#stored.production) {
      this.#problem = problem;
      this.#ending = true;
      return false;
    }
    void this.#interrupt();
    return true;
  }

  async end(): Promise<void> {
    this.#ending = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#grace);
    this.#release();
    await this.#writing;
    const status = statusOf(this.#problem);
    const keep = this.#stored.resumable ? this.#begun : status === 'completed';
    if (keep) {
      const stored = this.#stored;
      stored.status = status;
      stored.production = undefined;
      stored.forgetAt = Date.now() + this.#retentionMs;
      this.#store.begin(stored);
      if (!stored.resumable) this.#store.appendAll(this.log.pieces);
      const last = this.#takePending();
      if (last) this.#store.append(last.piece, last.ids);
      this.#store.wakeAt(stored.forgetAt);
      await this.#store.synced();
      if (last) this.log.tell(last.piece);
    }
    this.log.ended = true;
    for (const follower of this.#followers) follower.go();
    this.#onOver();
  }

  /** It goes on later, see answer-object.ts. Those who follow come back for it. */
  async #interrupt(): Promise<void> {
    clearTimeout(this.#timer);
    this.#release();
    await this.#writing;
    // Without a token the beginning is told once more.
    if (this.#numbering.idCount > 0) await this.#write();
    const told = encoder.encode(errorEvent({ kind: 'stream_interrupted' }));
    for (const follower of this.#followers) follower.close(told);
    this.#onOver();
  }

  #writeSoon(): void {
    // Without a token a node would begin anew, and tell the beginning once more; of a response the edge tells it.
    const { production, background } = this.#stored;
    const tooEarly = production !== undefined && !background && this.#numbering.idCount === 0;
    if (this.#writing || this.#timer || this.#ending || tooEarly) return;
    const wait = this.#writtenAt + this.#restMs - Date.now();
    if (wait <= 0) this.#begin();
    else this.#timer = setTimeout(() => this.#begin(), wait);
  }

  #begin(): void {
    this.#timer = null;
    this.#writing = this.#write().then(() => {
      this.#writing = undefined;
      if (this.#pending) this.#writeSoon();
    });
  }

  async #write(): Promise<void> {
    const next = this.#takePending();
    if (!next) return;
    this.#writtenAt = Date.now();
    this.#store.append(next.piece, next.ids);
    await this.#store.synced();
    const took = Date.now() - this.#writtenAt;
    this.#restMs = Math.min(longestRestMs, Math.max(writeEveryMs, restPerWrite * took));
    this.#tell(next.piece);
  }

  #takePending() {
    const bytes = this.#pending;
    if (!bytes) return undefined;
    this.#pending = undefined;
    const piece = { first: this.#storedLast + 1, last: this.#numbering.last, bytes };
    this.#storedLast = piece.last;
    return { piece, ids: this.#numbering.take() };
  }
  #tell(piece: { first: number; last: number; bytes: Uint8Array }): void {
    this.log.tell(piece);
    for (const follower of this.#followers) follower.go();
  }
}

function statusOf(problem: Problem | undefined): AnswerStatus {
  if (!problem) return 'completed';
  return problem.kind === 'generation_cancelled' || problem.kind === 'client_gone' ? 'cancelled' : 'failed';
}
