/**
 * From a response's bytes to parsed chunks, a batch per read: as many as the read completed.
 *
 * Before the first chunk nothing has been handed on, so a failure there is tried again like one before the headers.
 */
import { createParser, type EventSourceParser } from 'eventsource-parser';
import { asFailure, type Call, foreignAnswer } from './call.ts';
import {
  ConnectionError,
  errorFromBody,
  HuoziError,
  ProtocolError,
  requestIdOf,
  TimeoutError,
  TruncatedError,
} from './errors.ts';
import type { Folding } from './fold.ts';

/** One event; a longer one is a ProtocolError, characters. */
const longestEvent = 8 * 2 ** 20;
/** How long a connection may take to end after `[DONE]` before it is closed instead of kept for reuse, ms. */
const lingering = 200;

/** How chunks of any kind say that it went wrong; a response's last event carries the response that failed. */
interface Failing {
  error?: unknown;
  response?: { error?: unknown };
  type?: unknown;
}

export interface ChunkSource<Item> {
  /** At least one chunk, or undefined after a whole answer. Any other end is thrown. */
  read(): Promise<Item[] | undefined>;
  /** Of the latest try, as is what was added up. */
  readonly headers: Headers;
  readonly fold: Folding;
}

/**
 * @param hidesUsage keep the chunk that carries nothing but the usage, because only the SDK asked for it
 * @param kind adds up this kind of chunks
 */
export function openChunks<Item extends object>(
  call: Call,
  response: Response,
  hidesUsage: boolean,
  kind: new () => Folding,
): ChunkSource<Item> {
  let headers: Headers;
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let decoder: TextDecoder;
  let parser: EventSourceParser;
  let fold: Folding;
  let batch: Item[] = [];
  let hasBegun = false;
  /** How the stream ended, due once the chunks before it are handed on. */
  let end = undefined as HuoziError | 'said' | 'closed' | undefined;
  /** Why the reading was ended from outside. */
  let interrupted = undefined as unknown;

  function attach(response: Response): void {
    ({ headers } = response);
    fold = new kind();
    end = interrupted = undefined;
    if (!response.body || /json|html/.test(headers.get('content-type')!)) {
      end = foreignAnswer('an event stream', headers);
      return;
    }
    reader = response.body.getReader();
    decoder = new TextDecoder();
    parser = createParser({
      maxBufferSize: longestEvent,
      onEvent: ({ data }) => take(data),
      onError: ({ type }) => {
        if (type === 'max-buffer-size-exceeded') end ??= malformed();
      },
    });
  }

  function interrupt(error?: unknown): void {
    interrupted = error;
    // A pending read ends at once, also where `fetch` took no notice of its signal.
    reader?.cancel().catch(() => {});
  }

  async function read(): Promise<Item[] | undefined> {
    for (;;) {
      batch = [];
      try {
        const deadline = fold.sawToken ? 'idle' : 'firstToken';
        call.limit(interrupt, deadline);
        while (!end && batch.length === 0 && !interrupted) feed(await reader!.read());
        // The time that the reader takes with a chunk is not counted.
        call.limit(interrupt, deadline, 0);
        if (interrupted) throw interrupted;
        if (batch.length > 0) {
          hasBegun = true;
          return batch;
        }
        if (end instanceof HuoziError) throw end;
        if (!fold.isWhole) {
          throw new TruncatedError('The stream ended before the answer did', {
            requestId: requestIdOf(headers),
            isRetryable: true,
          });
        }
        if (end === 'said') linger();
        return undefined;
      } catch (cause) {
        const failure = asFailure(interrupted ?? cause);
        // All was said; that the connection died before it ended loses nothing.
        const isLost = failure instanceof ConnectionError || failure instanceof TimeoutError;
        if (isLost && fold.isWhole) return undefined;
        if (hasBegun) throw failure;
        await call.backOff(failure);
        attach(await call.open());
      }
    }
  }

  function feed({ done, value }: ReadableStreamReadResult<Uint8Array>): void {
    // The end that an interruption makes is not the server's.
    if (interrupted) return;
    // A server that forgets the last blank line has still said the event.
    parser.feed(done ? `${decoder.decode()}\n\n` : decoder.decode(value, { stream: true }));
    // Half an event is only a cut.
    if (done && (!end || end instanceof ProtocolError)) end = 'closed';
  }

  function take(data: string): void {
    if (end) return;
    if (data === '[DONE]') {
      end = 'said';
      return;
    }
    try {
      const chunk: Item & Failing = JSON.parse(data);
      const { error, response, type } = chunk;
      if (type === 'error' || error || response?.error) {
        end = errorFromBody(response ?? chunk, headers);
        return;
      }
      // Adding it up is also the check of its shape; a schema per chunk would cost 3–7 times the parsing.
      if (fold.add(chunk) || !hidesUsage) batch.push(chunk);
    } catch {
      // An empty event is somebody's keep-alive.
      if (data.trim()) end = malformed();
    }
  }

  /** The answer is whole; its connection can be used again if it ends here, too. */
  function linger(): void {
    const timer = setTimeout(interrupt, lingering);
    reader!
      .read()
      .then(
        ({ done }) => done || interrupt(),
        () => {},
      )
      .then(() => clearTimeout(timer));
  }

  function malformed(): ProtocolError {
    return new ProtocolError('An event is no chunk', { requestId: requestIdOf(headers) });
  }

  attach(response);
  return {
    read,
    get headers() {
      return headers;
    },
    get fold() {
      return fold;
    },
  };
}
