import type { ServerResponse } from 'node:http';
import type { GenerationEnd, TokenDetails } from '../engine/types.ts';
import type { NodeUsage } from '../protocol.ts';
import { type CancelCause, endError } from './errors.ts';
import type { FinishReason, Frames } from './frames.ts';
import type { GenerationSink } from './generations.ts';

export interface EventStreamOptions {
  /** A comment goes out after so long without an event, milliseconds. */
  pingMs: number;
  /** Bytes that may wait for a client that does not read. */
  maxBufferedBytes: number;
}

/**
 * Writes one generation's events straight to Node's response: no web stream, no promise per token.
 *
 * Events of one turn of the event loop go out in one write (a step's last text and the end come together);
 * nothing waits longer than that turn.
 */
export class EventStream implements GenerationSink {
  readonly #response: ServerResponse;
  readonly #frames: Frames;
  readonly #options: EventStreamOptions;
  readonly #onSlowReader: () => void;
  #ping: NodeJS.Timeout | undefined;
  #pending: string;
  /** Events can come before the headers: the engine may work elsewhere, and its yes comes with its first words. */
  #opened = false;
  #scheduled = false;
  #hasText = false;
  #ended = false;

  constructor(
    response: ServerResponse,
    frames: Frames,
    options: EventStreamOptions,
    onSlowReader: () => void,
    goesOn = false,
  ) {
    this.#response = response;
    this.#frames = frames;
    this.#options = options;
    this.#onSlowReader = onSlowReader;
    // Waits for the first text: a client that gets the role alone would see an answer begin that has not.
    this.#pending = goesOn ? '' : frames.role();
  }

  /** The request is accepted: the edge learns it now, not at the first token. */
  open(requestId: string): void {
    if (this.#response.destroyed) return;
    this.#response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'x-request-id': requestId,
    });
    this.#response.flushHeaders();
    this.#opened = true;
    this.#ping = setTimeout(this.#sendPing, this.#options.pingMs);
    this.#response.on('close', () => clearTimeout(this.#ping));
    // The role event alone still waits for the first text.
    if (this.#hasText || this.#ended) this.#schedule();
  }

  onText(text: string, ids: readonly number[], position: number, details?: TokenDetails): void {
    this.#hasText = true;
    this.#pending += this.#frames.text(text, ids, position, details);
    this.#schedule();
  }

  onEnd(end: GenerationEnd, usage: NodeUsage, cause: CancelCause | undefined): void {
    if (end.reason === 'stop' || end.reason === 'length') {
      this.#pending += this.#frames.finish(end.reason satisfies FinishReason, usage, end.ids, end.details);
    } else {
      // An answer that has not begun does not begin now.
      if (!this.#hasText) this.#pending = '';
      this.#pending += this.#frames.failure(usage, endError(end, cause).body);
    }
    this.#ended = true;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || !this.#opened) return;
    this.#scheduled = true;
    process.nextTick(this.#flush);
  }

  #flush = (): void => {
    this.#scheduled = false;
    const bytes = this.#pending;
    this.#pending = '';
    if (this.#ended) {
      clearTimeout(this.#ping);
      if (!this.#response.destroyed) this.#response.end(bytes);
      return;
    }
    this.#write(bytes);
  };

  #sendPing = (): void => {
    if (!this.#ended) this.#write(': ping\n\n');
  };

  #write(bytes: string): void {
    if (this.#response.destroyed) return;
    this.#ping?.refresh();
    this.#response.write(bytes);
    if (this.#response.writableLength > this.#options.maxBufferedBytes) this.#onSlowReader();
  }
}
