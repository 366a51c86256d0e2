/**
 * One node's share of an answer: its event stream, read in whole events, and how it ended. An answer is one leg as
 * long as nothing goes wrong.
 */
import type { NodeUsage } from 'huozi-gpu-backend/protocol';
import { leastRead } from '../gpu-backend/src/ping.ts';
import { nodesProblem, type Problem } from './errors.ts';
import {
  closesStream,
  codeOf,
  endEvents,
  failureAt,
  firstEvent,
  isPing,
  join,
  readIds,
  readLastWrite,
  wholeEvents,
} from './event-bytes.ts';
import { cancel, type NodeAddress } from './node-api.ts';
import type { Upstream } from './usage/usage-row.ts';

/**
 * - done: `[DONE]` came
 * - failed: the node wrote an error event, which stays here: `problem` is what a client may know of it
 * - lost: the bytes stopped (reset, cut body, clean end without `[DONE]`, silence), which looks alike from here, or
 *   are not a node's
 */
export type LegEnd = 'done' | 'failed' | 'lost';

/** No event is near as long: what comes without a blank line for so many bytes is no event stream. */
const longestEvent = 1024 * 1024;
/** Bytes that a read has room for: as many as workerd gives by itself. */
const leastRoom = 4096;
const atEventsStart = { min: leastRead };
const amidEvent = { min: 1 };

/** Of a ReadableStreamBYOBReader; the DOM's types do not know of `min` yet. */
interface BytesReader {
  read(into: Uint8Array<ArrayBuffer>, least: { min: number }): Promise<{ value?: Uint8Array | undefined }>;
  releaseLock(): void;
  cancel(): Promise<void>;
}

/** What was used, from the best source that is left: the stream itself, a question to the node, the edge's own counting. */
interface LegUsage {
  usage: NodeUsage;
  source: 'stream' | 'node' | 'counted';
  /** Its URL: who counted that. */
  node: string;
}

/** What a node used that was told to stop before it was heard; undefined: nothing, as far as it says. */
export interface Stopped {
  node: string;
  usage: Promise<NodeUsage | undefined>;
}

export class Leg {
  readonly node: NodeAddress;
  /** Token ids of the answer so far, of earlier legs too. */
  readonly ids: number[];
  readonly #id: string;
  readonly #endTold: number;
  #toSkip: number;
  readonly #body: ReadableStream<Uint8Array>;
  readonly #reader: BytesReader;
  readonly #abort: AbortController;
  readonly #stop: (() => Promise<NodeUsage | undefined>) | undefined;
  readonly #silence: ReturnType<typeof setInterval>;
  /** Whether the node owes the next bytes; it does not while a slow client holds things up. */
  #waiting = false;
  #heard = true;
  /** Bytes of an event whose blank line has not come. They never reach the client unless it comes. */
  #incomplete: Uint8Array | undefined;
  /** The last whole events of the answer that were no ping. Kept by reference: nothing is copied per token. */
  #last: Uint8Array | undefined;
  /** The event that says that it failed. */
  #failure: Uint8Array | undefined;
  #cancelled: Promise<NodeUsage | undefined> | undefined;
  #clientLeft = false;
  #released = false;
  #successor: Stopped | undefined;
  #end: LegEnd | undefined;
  #problem: Problem = { kind: 'node_lost' };

  /**
   * @param body a stream of bytes
   * @param abort ends the fetch that `body` comes from, once that was given away
   * @param silenceMs a node pings every 2 s, so one that says nothing whole for so long hangs or is gone
   * @param ids of the legs before; gets those of this one
   * @param endTold how many events of the answer's end the legs before have told. They are not told again.
   * @param stop for what is no node: ends the answer, and tells what is known to have been used
   */
  constructor(
    node: NodeAddress,
    id: string,
    body: ReadableStream<Uint8Array>,
    abort: AbortController,
    silenceMs: number,
    ids: number[] = [],
    endTold = 0,
    stop?: () => Promise<NodeUsage | undefined>,
  ) {
    this.node = node;
    this.ids = ids;
    this.#endTold = endTold;
    this.#toSkip = endTold;
    this.#id = id;
    this.#body = body;
    this.#reader = body.getReader({ mode: 'byob' });
    this.#abort = abort;
    this.#stop = stop;
    this.#silence = setInterval(() => {
      if (this.#waiting && !this.#heard) this.#hangUp();
      this.#heard = false;
    }, silenceMs);
  }

  /** The next whole events, one or more; undefined at the end. Never rejects. */
  async read(): Promise<Uint8Array | undefined> {
    // Bytes alone are not heard: a node may let them trickle for ever, and never end an event.
    this.#heard = true;
    while (!this.#end) {
      const events = this.#take(await this.#next());
      if (events) return events;
    }
    return undefined;
  }

  /**
   * Gives the rest of the body away, unread: from here on the leg does not know what passes, nor that it falls silent.
   * @returns `begun`: the bytes of an event that is not whole, which stand before the body
   */
  release(): { begun: Uint8Array | undefined; body: ReadableStream<Uint8Array> } {
    clearInterval(this.#silence);
    this.#released = true;
    this.#reader.releaseLock();
    return { begun: this.#incomplete, body: this.#body };
  }

  /** Who answers. */
  get upstream(): Upstream {
    return this.#stop ? 'burst' : 'node';
  }

  /** How it ended; 'lost' as long as it has not. Known with the last events that `read` gives. */
  get end(): LegEnd {
    return this.#end ?? 'lost';
  }

  /** Why it did not end in `[DONE]`, once it has ended. */
  get problem(): Problem | undefined {
    return this.#end === 'done' ? undefined : this.#problem;
  }

  /** Whether another node would be asked to do what must not be done, or what has failed on its own account. */
  get isFinal(): boolean {
    const { kind } = this.#problem;
    return kind === 'generation_cancelled' || kind === 'deadline_exceeded';
  }

  /** Whether anything but pings has come of it. */
  get hasTold(): boolean {
    return this.#last !== undefined;
  }

  /** Whether all tokens so far are known by their ids, which a node needs to go on. */
  get knowsItsTokens(): boolean {
    return this.#last === undefined || readLastWrite(this.#last).position === this.ids.length;
  }

  /** How many events of the answer's end are told: 1 is its finish, 2 its usage too. Then only `[DONE]` is missing. */
  get endTold(): number {
    return Math.max(this.#endTold, this.#last === undefined ? 0 : endEvents(this.#last));
  }

  /** The client has left: stops the node, whose sequence is free at the next step. */
  cancel(): void {
    if (this.#end === 'done') return;
    this.#clientLeft = true;
    this.abandon();
  }

  /** Nothing more is expected of it; in case it lives, it stops. */
  abandon(): void {
    this.#cancelled ??= this.#stop ? this.#stop() : cancel(this.node, this.#id);
    this.#hangUp();
  }

  /** The client left while that one was asked to go on: if it had begun, it has counted the whole answer. */
  succeededBy(stopped: Stopped): void {
    this.#successor = stopped;
  }

  /** What the answer used. Call once it is over; frees the sequence if it runs. */
  async usage(): Promise<LegUsage> {
    const successors = await this.#successor?.usage;
    if (successors) return { usage: successors, source: 'node', node: this.#successor!.node };
    const node = this.node.url;
    const told = this.#failure ?? this.#last;
    const usage = told && readLastWrite(told).usage;
    if (usage) return { usage, source: 'stream', node };
    if (this.#end !== 'done') this.abandon();
    const asked = await this.#cancelled;
    if (asked) return { usage: asked, source: this.#stop ? 'counted' : 'node', node };
    const position = this.#last ? readLastWrite(this.#last).position : this.ids.length;
    const reason = this.#clientLeft ? 'cancelled' : 'error';
    return { usage: { prompt_tokens: 0, completion_tokens: position, reason }, source: 'counted', node };
  }

  async #next(): Promise<Uint8Array | undefined> {
    this.#waiting = true;
    try {
      // An event that was cut has no length of which to wait for more than comes.
      const begun = this.#incomplete?.length ?? 0;
      // As much again as there is, so that a long event is not joined out of a thousand pieces.
      const into = new Uint8Array(Math.max(leastRoom, begun));
      const { value } = await this.#reader.read(into, begun ? amidEvent : atEventsStart);
      return value?.length ? value : undefined;
    } catch {
      return undefined;
    } finally {
      this.#waiting = false;
    }
  }

  #take(bytes: Uint8Array | undefined): Uint8Array | undefined {
    if (!bytes) {
      this.#close('lost');
      return undefined;
    }
    const all = this.#incomplete ? join(this.#incomplete, bytes) : bytes;
    const end = wholeEvents(all);
    this.#incomplete = end === all.length ? undefined : all.subarray(end);
    if (this.#incomplete && this.#incomplete.length > longestEvent) {
      this.abandon();
      this.#close('lost');
    }
    if (end === 0) return undefined;
    const whole = end === all.length ? all : all.subarray(0, end);
    if (isPing(whole)) return whole;
    const wellFormed = readIds(whole, this.ids);
    const events = wellFormed === whole.length ? whole : whole.subarray(0, wellFormed);
    const failure = failureAt(events);
    if (failure >= 0) {
      this.#failure = events.subarray(failure);
      this.#problem = nodesProblem(codeOf(this.#failure));
      this.#close('failed');
    } else if (closesStream(events)) {
      this.#close('done');
    } else if (events !== whole) {
      // What stands between the edge and the node has put in something of its own.
      this.#problem = { kind: 'upstream_error' };
      this.abandon();
      this.#close('lost');
    }
    let shown = failure < 0 ? events : events.subarray(0, failure);
    for (; this.#toSkip > 0 && shown.length > 0; this.#toSkip--) shown = shown.subarray(firstEvent(shown));
    if (shown.length === 0) return undefined;
    this.#last = shown;
    return shown;
  }

  #close(end: LegEnd): void {
    this.#end = end;
    clearInterval(this.#silence);
    // After that only the end of the body is left; reading it leaves the connection fit for the next request.
    if (end !== 'lost') void this.#next().then((more) => more && this.#hangUp());
  }

  /**
   * Ends the connection. Not by the fetch's signal, as long as the body is read here: workerd never forgets a request
   * whose fetch was aborted while its body was read (8 KB of V8's heap each, and more beside it; test/edge/left-memory).
   */
  #hangUp(): void {
    if (this.#released) this.#abort.abort();
    else void this.#reader.cancel().catch(() => undefined);
  }
}
