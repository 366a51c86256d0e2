/**
 * From a response's bytes to parsed chunks, a batch per read: as many as the read completed.
 *
 * Before the first chunk nothing has been handed on, so a failure there is tried again like one before the headers. After
 * it the answer is resumed where the server keeps it, and events have numbers: what comes then is what was missing.
 */
import { createParser, type EventSourceMessage, type EventSourceParser } from 'eventsource-parser';
import { asFailure, type Call, foreignAnswer } from './call.ts';
import { errorFromBody, HuoziError, ProtocolError, requestIdOf, TruncatedError } from './errors.ts';
import type { Folding } from './fold.ts';

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
  /** Whether anything was handed on. */
  let hasBegun = 0;
  /** Number of the last event that was taken, where the server keeps them; NaN or 0 where none can follow it. */
  let last: number | undefined;
  /** How the stream ended, due once the chunks before it are handed on. */
  let end = undefined as HuoziError | 'said' | 'closed' | undefined;
  /** Why the reading was ended from outside. */
  let interrupted = undefined as unknown;

  function attach(response: Response): void {
    ({ headers } = response);
    if (!last) fold = new kind();
    end = interrupted = undefined;
    if (!response.body || /json|html/.test(headers.get('content-type')!)) {
      end = foreignAnswer('an event stream', headers);
      return;
    }
    reader = response.body.getReader();
    decoder = new TextDecoder();
    parser = createParser({
      // One event, characters; a longer one is a ProtocolError. Numbers stand where they are used: a name is bytes.
      maxBufferSize: 8_388_608,
      onEvent: take,
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
          hasBegun = call.tries = 1;
          return batch;
        }
        if (end instanceof HuoziError) throw end;
        if (!fold.isWhole) {
          throw new TruncatedError('Stream ended too early', {
            requestId: requestIdOf(headers),
            isRetryable: true,
          });
        }
        if (end === 'said') linger();
        return undefined;
      } catch (cause) {
        const failure = asFailure(interrupted ?? cause);
        // All was said; that the connection died before it ended loses nothing.
        if (failure !== end && fold.isWhole) return undefined;
        if (hasBegun && !last) throw failure;
        await call.backOff(failure);
        attach(await call.open(last));
        if (last) call.onResume?.(failure);
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

  function take({ data, id }: EventSourceMessage): void {
    // A server that tells all of it again is not taken at its word.
    if (end || Number(id) <= last!) return;
    if (data === '[DONE]') {
      end = 'said';
      last = 0;
      return;
    }
    try {
      const chunk: Item & Failing = JSON.parse(data);
      const { error, response, type } = chunk;
      if (type === 'error' || error || response?.error) {
        end = errorFromBody(response ?? chunk, headers);
        // One without a number is the way's: the answer may go on.
        if (id) last = 0;
        return;
      }
      // Adding it up is also the check of its shape; a schema per chunk would cost 3–7 times the parsing.
      if (fold.add(chunk) || !hidesUsage) batch.push(chunk);
      last = call.stream ? Number(id) : 0;
    } catch {
      // An empty event is somebody's keep-alive.
      if (data.trim()) end = malformed();
    }
  }

  /** The answer is whole; its connection can be used again if it ends here, too. */
  function linger(): void {
    // So long a connection may take to end after `[DONE]` before it is closed; if more comes than the end, at once.
    const timer = setTimeout(interrupt, 200);
    reader!
      .read()
      .then(interrupt, interrupt)
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
