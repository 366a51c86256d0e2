/** Hands chunks on one by one, and knows how the stream ended. */
import { asFailure, type Call } from './call.ts';
import type { ChunkSource } from './chunk-source.ts';
import type { HuoziError } from './errors.ts';

export interface ChunkQueue<Item> {
  next(): Promise<IteratorResult<Item, undefined>>;
  /** Ends the stream without telling the reader; the connection is closed. */
  leave(): void;
  /** Resolves at the end, with the reason why there is no whole answer. */
  readonly ended: Promise<HuoziError | undefined>;
}

export function queueChunks<Item>(call: Call, source: ChunkSource<Item>): ChunkQueue<Item> {
  /** What one read brought, and the first of it that was not taken yet. */
  let batch: Item[] = [];
  let at = 0;
  let reading: Promise<void> | undefined;
  let isOver = false;
  /** The next reader shall get it. */
  let untold: HuoziError | undefined;
  let setEnded: (error: HuoziError | undefined) => void;
  const ended = new Promise<HuoziError | undefined>((resolve) => {
    setEnded = resolve;
  });

  function end(error?: HuoziError): void {
    if (isOver) return;
    isOver = true;
    untold = error;
    batch = [];
    if (error) call.stop(error);
    else call.settle();
    setEnded(error);
  }

  function arrive(read: Item[] | undefined): void {
    reading = undefined;
    if (!read) end();
    else if (!isOver) {
      batch = read;
      at = 0;
    }
  }

  async function nextRead(): Promise<IteratorResult<Item, undefined>> {
    while (at >= batch.length) {
      if (isOver) {
        const error = untold;
        untold = undefined;
        if (error) throw error;
        return { done: true, value: undefined };
      }
      reading ??= source.read().then(arrive, (error) => end(asFailure(error)));
      await reading;
    }
    return { done: false, value: batch[at++]! };
  }

  call.onStop = end;
  return {
    next() {
      // Most chunks of a fast stream are here already; an async function would cost them more turns.
      return at < batch.length ? Promise.resolve({ done: false, value: batch[at++]! }) : nextRead();
    },
    leave() {
      if (!isOver) call.abort();
      untold = undefined;
    },
    ended,
  };
}
