/** A streamed answer as its reader sees it. */
import { asFailure, type Call } from './call.ts';
import type { ChatCompletion, ChatCompletionChunk, ChatCompletionMessage } from './chat-types.ts';
import { type ChunkQueue, queueChunks } from './chunk-queue.ts';
import { type ChunkSource, openChunks } from './chunk-source.ts';
import { HuoziError, requestIdOf } from './errors.ts';
import { Fold, type Folding } from './fold.ts';
import { type RateLimit, rateLimitOf } from './rate-limit.ts';

type UsageOf<Result> = Result extends { usage?: infer Usage } ? NonNullable<Usage> : never;

/**
 * The answer as it comes, to be read once: as chunks, as text, as a whole, or as bytes. `break` closes the
 * connection. Whatever is not the whole answer throws; there is no quiet end that you did not ask for.
 *
 * @example
 * const stream = await huozi.chat.completions.create({ model: 'huozi', messages, stream: true });
 * for await (const chunk of stream) show(chunk.choices[0]?.delta.content ?? '');
 * log(stream.usage?.completion_tokens, stream.requestId);
 */
export class HuoziStream<Item extends object, Result> implements AsyncIterable<Item> {
  #call: Call;
  #source: ChunkSource<Item>;
  #queue: ChunkQueue<Item>;
  #isClaimed = false;

  /** @internal */
  constructor(call: Call, response: Response, hidesUsage: boolean, kind: new () => Folding = Fold) {
    this.#call = call;
    this.#source = openChunks(call, response, hidesUsage, kind);
    this.#queue = queueChunks(call, this.#source);
  }

  /**
   * Tokens that the call used; there once the stream has ended.
   *
   * @example
   * bill(stream.usage?.total_tokens ?? 0);
   */
  get usage(): UsageOf<Result> | undefined {
    return (this.snapshot as { usage?: UsageOf<Result> } | undefined)?.usage;
  }

  /**
   * What to name when you ask the operator about this answer.
   *
   * @example
   * log(stream.requestId);
   */
  get requestId(): string | undefined {
    return requestIdOf(this.#source.headers);
  }

  /**
   * What is left of the key's budgets.
   *
   * @example
   * if (stream.rateLimit.requests.remaining === 0) slowDown();
   */
  get rateLimit(): RateLimit {
    return rateLimitOf(this.#source.headers);
  }

  /**
   * Where the edge keeps this answer, for `follow` of `huozi/streams`: also in a page that was loaded anew.
   *
   * @example
   * sessionStorage.answer = stream.keptAt ?? '';
   */
  get keptAt(): string | undefined {
    return this.#call.stream;
  }

  /**
   * The answer so far, also after a failure; `finish_reason` is null where it did not end.
   *
   * @example
   * catch (error) { keepDraft(stream.snapshot?.choices[0]?.message.content); }
   */
  get snapshot(): Result | undefined {
    return this.#source.fold.whole as Result | undefined;
  }

  /**
   * Only the text of the first choice.
   *
   * @example
   * for await (const text of stream.textStream) process.stdout.write(text);
   */
  get textStream(): AsyncIterable<string> {
    return this.#texts();
  }

  async *#texts(): AsyncGenerator<string, void> {
    for await (const item of this) {
      const text = this.#source.fold.textOf(item);
      if (text) yield text;
    }
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Item, undefined> {
    this.#claim();
    const iterator: AsyncIterableIterator<Item, undefined> = {
      next: this.#queue.next,
      return: async () => {
        this.abort();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /**
   * The answer that the same call without `stream` would have got. Reads the stream, or waits for its reader.
   *
   * @example
   * const completion = await stream.finalCompletion();
   */
  async finalCompletion(): Promise<Result> {
    if (!this.#isClaimed) {
      for await (const _ of this);
    }
    const error = await this.ended;
    if (error) throw error;
    return this.snapshot as Result;
  }

  /**
   * Resolves at the end, with the reason why there is no whole answer. Waits for the reader, and reads nothing.
   *
   * @example
   * stream.ended.then((error) => (error ? keepDraft(stream.snapshot) : save(stream.snapshot)));
   */
  get ended(): Promise<HuoziError | undefined> {
    return this.#queue.ended;
  }

  /**
   * A `break` from outside of the loop: closes the connection, and the loop ends. `finalCompletion` and
   * `finalMessage` reject, because there is no whole answer.
   *
   * @example
   * stopButton.onclick = () => stream.abort();
   */
  abort(): void {
    this.#queue.leave();
  }

  /**
   * The stream as server-sent events, to hand on to a browser. A failure becomes an error event, and only a whole
   * answer ends in `[DONE]`.
   *
   * @example
   * return new Response(stream.toReadableStream(), { headers: { 'content-type': 'text/event-stream' } });
   */
  toReadableStream(): ReadableStream<Uint8Array> {
    this.#claim();
    const encoder = new TextEncoder();
    return new ReadableStream({
      pull: async (controller) => {
        const tell = (data: string) => controller.enqueue(encoder.encode(`data: ${data}\n\n`));
        try {
          const { done, value } = await this.#queue.next();
          if (!done) return tell(JSON.stringify(value));
          const failure = await this.ended;
          if (failure) throw failure;
          tell('[DONE]');
        } catch (error) {
          const { message, type, code, param } = asFailure(error);
          tell(JSON.stringify({ error: { message, type, code, param } }));
        }
        controller.close();
      },
      cancel: () => this.abort(),
    });
  }

  #claim(): void {
    if (this.#isClaimed) throw new HuoziError('A stream is read once');
    this.#isClaimed = true;
  }
}

/**
 * A streamed chat answer.
 *
 * @example
 * const message = await stream.finalMessage();
 */
export class ChatStream extends HuoziStream<ChatCompletionChunk, ChatCompletion> {
  /**
   * The whole message. Reads the stream, or waits for its reader; rejects if the answer is not whole.
   *
   * @example
   * messages.push(await stream.finalMessage());
   */
  async finalMessage(): Promise<ChatCompletionMessage> {
    return (await this.finalCompletion()).choices[0]!.message;
  }
}
