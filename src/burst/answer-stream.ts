/** Pieces of an endpoint's answer → the bytes that a node would write, and what was used. */
import type { ClientEvents, NodeUsage } from 'huozi-gpu-backend/protocol';
import { StopStrings } from '../../gpu-backend/src/engine/stop-strings.ts';
import { ping } from '../../gpu-backend/src/ping.ts';
import type { Piece } from './ask-endpoint.ts';
import { Events } from './events.ts';
import { endingTexts } from './parameters.ts';

/** As a node does. */
const pingMs = 2_000;
/** One that writes nothing for so long hangs. */
const silenceMs = 60_000;
/** After a stop string: until the endpoint, which stops there too, has told its usage. */
const usageMs = 1_000;

export interface AnswerSource {
  pieces: AsyncIterator<Piece>;
  events: ClientEvents;
  stop: readonly string[];
  /** Whether the endpoint also ends at each of them. */
  stopsThere: boolean;
  /** Tokens of the prompt, asked only where the endpoint does not tell. */
  countPrompt(): Promise<number>;
  /** Ends the request to the endpoint. */
  abort(): void;
}

export class AnswerStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #source: AnswerSource;
  readonly #events: Events;
  readonly #stops: StopStrings;
  /** Pieces with text; the endpoint writes one a token. */
  #position = 0;
  #told: Piece['usage'];
  #next: Promise<IteratorResult<Piece>> | undefined;
  #quietMs = 0;

  constructor(source: AnswerSource) {
    this.#source = source;
    this.#events = new Events(source.events);
    this.#stops = new StopStrings([...endingTexts, ...source.stop]);
    const encoder = new TextEncoder();
    this.readable = new ReadableStream({
      // What a leg reads from must be one of bytes.
      type: 'bytes',
      pull: async (controller) => {
        const { events, ended } = await this.#step();
        if (events) controller.enqueue(encoder.encode(events));
        if (ended) controller.close();
      },
      cancel: () => source.abort(),
    });
  }

  /** What is known to have been used so far. */
  async usage(reason: NodeUsage['reason']): Promise<NodeUsage> {
    const { prompt_tokens, completion_tokens } = this.#told ?? {
      prompt_tokens: await this.#source.countPrompt(),
      completion_tokens: this.#position,
    };
    return { prompt_tokens, completion_tokens, reason };
  }

  /** Until there is something to say. */
  async #step(): Promise<{ events: string; ended: boolean }> {
    for (;;) {
      this.#next ??= this.#source.pieces.next();
      let next: IteratorResult<Piece> | undefined;
      try {
        next = await within(pingMs, this.#next);
      } catch {
        return this.#fail();
      }
      if (!next) {
        this.#quietMs += pingMs;
        if (this.#quietMs < silenceMs) return { events: ping, ended: false };
        this.#source.abort();
        return this.#fail();
      }
      this.#next = undefined;
      this.#quietMs = 0;
      // An end without a reason is none: it was cut.
      if (next.done) return this.#fail();
      const said = await this.#take(next.value);
      if (said) return said;
    }
  }

  async #take({ text, finish, usage }: Piece): Promise<{ events: string; ended: boolean } | undefined> {
    this.#told = usage ?? this.#told;
    if (text !== '') this.#position++;
    const shown = this.#stops.push(text);
    const ends = shown.found || finish !== '';
    if (ends && !shown.found) shown.text += this.#stops.flush();
    const events = shown.text === '' ? '' : this.#events.text(shown.text, this.#position);
    if (!ends) return events === '' ? undefined : { events, ended: false };
    await this.#hearUsage(finish !== '' || this.#source.stopsThere);
    const reason = finish === 'length' && !shown.found ? 'length' : 'stop';
    const end = this.#events.end(reason, this.#position, await this.usage(reason));
    return { events: events + end, ended: true };
  }

  /** What comes after the end is only its usage. */
  async #hearUsage(worthWaiting: boolean): Promise<void> {
    const { pieces, abort } = this.#source;
    const until = Date.now() + usageMs;
    try {
      while (worthWaiting && !this.#told) {
        const next = await within(until - Date.now(), pieces.next());
        if (!next || next.done) break;
        this.#told = next.value.usage;
      }
    } catch {
      // Then it is counted.
    }
    abort();
  }

  async #fail(): Promise<{ events: string; ended: boolean }> {
    return { events: this.#events.failure(await this.usage('error')), ended: true };
  }
}

/** Nothing, if it is not there by then; and no timer is left of what was in time. */
async function within<T>(ms: number, value: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return Promise.race([value, late]).finally(() => clearTimeout(timer));
}
