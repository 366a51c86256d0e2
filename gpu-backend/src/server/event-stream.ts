import type { ServerResponse } from 'node:http';
import type { GenerationEnd, TokenDetails } from '../engine/types.ts';
import { ping } from '../ping.ts';
import type { NodeUsage } from '../protocol.ts';
import type { AnswerEvents } from './answer-events.ts';
import { type CancelCause, endError } from './errors.ts';
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
  readonly #answer: AnswerEvents;
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
    answer: AnswerEvents,
    options: EventStreamOptions,
    onSlowReader: () => void,
  ) {
    this.#response = response;
    this.#answer = answer;
    this.#options = options;
    this.#onSlowReader = onSlowReader;
    // Waits for the first text: a client that gets the role alone would see an answer begin that has not.
    this.#pending = answer.begin();
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

  onContinued(text: string): void {
    this.#answer.continued(text);
  }

  onText(
    text: string,
    ids: readonly number[],
    position: number,
    details: TokenDetails | undefined,
    choice: number,
  ): void {
    const event = this.#answer.text(choice, text, ids, position, details);
    if (event === '') return;
    this.#hasText = true;
    this.#pending += event;
    this.#schedule();
  }

  onChoiceEnd(end: GenerationEnd, position: number, choice: number): void {
    this.#hasText = true;
    this.#pending += this.#answer.finish(choice, end, position);
    this.#schedule();
  }

  onEnd(end: GenerationEnd, usage: NodeUsage, cause: CancelCause | undefined): void {
    if (end.reason === 'stop' || end.reason === 'length') {
      this.#pending += this.#answer.done(usage);
    } else {
      // An answer that has not begun does not begin now.
      if (!this.#hasText) this.#pending = '';
      this.#pending += this.#answer.failure(usage, endError(end, cause));
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
    if (!this.#ended) this.#write(ping);
  };

  #write(bytes: string): void {
    if (this.#response.destroyed) return;
    this.#ping?.refresh();
    this.#response.write(bytes);
    if (this.#response.writableLength > this.#options.maxBufferedBytes) this.#onSlowReader();
  }
}
