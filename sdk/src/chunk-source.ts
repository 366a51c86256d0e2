/**
 * From a response's bytes to parsed chunks, a batch per read: as many as the read completed.
 *
 * Before the first chunk nothing has been handed on, so a failure there is tried again like one before the headers.
 */
import { createParser, type EventSourceMessage, type EventSourceParser } from 'eventsource-parser';
import { asFailure, type Call } from './call.ts';
import {
  ConnectionError,
  errorFromBody,
  type HuoziError,
  ProtocolError,
  TimeoutError,
  TruncatedError,
} from './errors.ts';
import { Fold, type StreamChunk } from './fold.ts';

/** One event; a longer one is a ProtocolError, characters. */
const longestEvent = 8 * 2 ** 20;
/** How long a connection may take to end after `[DONE]` before it is closed instead of kept for reuse, ms. */
const lingering = 200;

export class ChunkSource<Item extends StreamChunk> {
  headers!: Headers;
  fold!: Fold;
  #call: Call;
  #hidesUsage: boolean;
  #reader!: ReadableStreamDefaultReader<Uint8Array>;
  #decoder!: TextDecoder;
  #parser!: EventSourceParser;
  #batch: Item[] = [];
  /** Came up while parsing; thrown once the chunks before it are handed on. */
  #failure: HuoziError | undefined;
  #begun = false;
  #sawToken = false;
  #sawDone = false;
  #sawEnd = false;
  /** Since the last event, ms. Only time spent waiting counts, not what the reader does with a chunk. */
  #waited = 0;

  /** @param hidesUsage keep the chunk that carries nothing but the usage, because only the SDK asked for it */
  constructor(call: Call, response: Response, hidesUsage: boolean) {
    this.#call = call;
    this.#hidesUsage = hidesUsage;
    this.#attach(response);
  }

  /** At least one chunk, or undefined after a whole answer. Any other end is thrown. */
  async read(): Promise<Item[] | undefined> {
    for (;;) {
      try {
        const batch = await this.#readOnce();
        if (batch?.length !== 0) return batch;
      } catch (cause) {
        const failure = asFailure(cause);
        // All was said; that the connection died before saying so loses nothing.
        const isLost = failure instanceof ConnectionError || failure instanceof TimeoutError;
        if (isLost && this.fold.isWhole) return undefined;
        if (this.#begun) throw failure;
        await this.#call.backOff(failure);
        this.#attach(await this.#call.open());
      }
    }
  }

  #attach(response: Response): void {
    this.headers = response.headers;
    this.fold = new Fold();
    this.#failure = undefined;
    this.#sawToken = this.#sawDone = this.#sawEnd = false;
    this.#waited = 0;
    const type = response.headers.get('content-type') ?? '';
    if (!response.body || /json|html/.test(type)) {
      this.#failure = this.#foreign(
        `The answer is no event stream (${type}); does baseURL point at the API?`,
      );
      return;
    }
    this.#reader = response.body.getReader();
    this.#decoder = new TextDecoder();
    this.#parser = createParser({
      maxBufferSize: longestEvent,
      onEvent: (event) => this.#onEvent(event),
      onError: ({ type }) => {
        if (type === 'max-buffer-size-exceeded') this.#failure ??= this.#foreign('An event is too long');
      },
    });
  }

  async #readOnce(): Promise<Item[] | undefined> {
    this.#batch = [];
    if (!this.#failure && !this.#sawDone && !this.#sawEnd) await this.#feed();
    if (this.#batch.length > 0) {
      this.#begun = true;
      return this.#batch;
    }
    if (this.#failure) throw this.#failure;
    if (!this.#sawDone && !this.#sawEnd) return this.#batch;
    if (!this.fold.isWhole) throw this.#truncated();
    if (!this.#sawEnd) this.#linger();
    return undefined;
  }

  async #feed(): Promise<void> {
    const { firstToken, idle } = this.#call.deadlines;
    const left = firstToken > 0 ? Math.max(1, firstToken - this.#waited) : Number.POSITIVE_INFINITY;
    const limit = this.#sawToken && idle > 0 ? Math.min(idle, left) : left;
    const from = performance.now();
    const read = this.#reader.read();
    const { done, value } = await this.#call.wait(read, limit, this.#sawToken ? 'idle' : 'firstToken');
    this.#waited += performance.now() - from;
    this.#sawEnd = done;
    // A server that forgets the last blank line has still said the event.
    this.#parser.feed(done ? `${this.#decoder.decode()}\n\n` : this.#decoder.decode(value, { stream: true }));
  }

  #onEvent({ data }: EventSourceMessage): void {
    if (this.#failure || this.#sawDone) return;
    if (data === '[DONE]') {
      this.#sawDone = true;
      return;
    }
    let chunk: Item & { error?: unknown };
    try {
      chunk = JSON.parse(data);
      // Adding it up is also the check of its shape; a schema per chunk would cost 3–7 times the parsing.
      if (!chunk.error) this.fold.add(chunk);
    } catch {
      // An empty event is somebody's keep-alive, and half an event at the end is a cut.
      if (data.trim() === '') return;
      this.#failure = this.#sawEnd ? this.#truncated() : this.#foreign('An event of the stream is no chunk');
      return;
    }
    this.#waited = 0;
    if (chunk.error) this.#failure = errorFromBody(chunk, this.headers);
    else {
      this.#sawToken ||= chunk.choices.some(isToken);
      if (!this.#hidesUsage || chunk.choices.length > 0) this.#batch.push(chunk);
    }
  }

  /** The answer is whole; its connection can be used again if it ends here, too. */
  #linger(): void {
    const close = () => void this.#reader.cancel().catch(() => {});
    const timer = setTimeout(close, lingering);
    this.#reader
      .read()
      .then(({ done }) => done || close())
      .catch(() => {})
      .finally(() => clearTimeout(timer));
  }

  #truncated(): TruncatedError {
    return new TruncatedError('The stream ended before the answer did', {
      type: 'truncated_error',
      requestId: this.headers.get('x-request-id') ?? undefined,
      isRetryable: true,
    });
  }

  #foreign(message: string): ProtocolError {
    return new ProtocolError(message, {
      type: 'protocol_error',
      requestId: this.headers.get('x-request-id') ?? undefined,
    });
  }
}

/** Some servers send the role long before the first token. */
function isToken(choice: { text?: string; delta?: object; finish_reason?: string | null }): unknown {
  const { delta, text, finish_reason } = choice;
  return text || finish_reason || Object.entries(delta ?? {}).some(([key, value]) => key !== 'role' && value);
}
