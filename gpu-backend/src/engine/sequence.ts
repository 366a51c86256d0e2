import type { EndReason } from '../protocol.ts';
import { Detokenizer } from './detokenizer.ts';
import { Penalties } from './penalties.ts';
import type { Lease } from './prefix-cache.ts';
import { StopStrings } from './stop-strings.ts';
import type { TokenPieces } from './token-pieces.ts';
import type { Generation, GenerationEvents, GenerationRequest } from './types.ts';

/** One generation on its way through queue, prefill and decode. The scheduler moves it; it tells its text. */
export class Sequence implements Generation {
  readonly prompt: Int32Array;
  readonly request: GenerationRequest;
  readonly penalties: Penalties | undefined;
  /** KV cells that it may come to use: prompt and answer. */
  readonly cells: number;
  readonly tenant: string;
  priority: number;
  /** On `performance.now`'s clock. */
  readonly deadline: number;
  /** Prompt and, from its end on, answer: `[cells]`; made when it is first tried to admit it. */
  tokens: Int32Array | undefined;
  /** Its place in the KV cache, from admission on. */
  lease: Lease | undefined;
  /** While queued: who is evaluating the beginning of its prompt, and up to which position they are the same. */
  awaited: { leader: Sequence; length: number } | undefined;
  /** Tokens in the KV cache. */
  past = 0;
  /** Tokens that the step now running adds to `past`. */
  stepping = 0;
  /** The token to decode next; means nothing before the prompt is through. */
  next = -1;
  cancelled = false;
  ended = false;
  completionTokens = 0;

  readonly #events: GenerationEvents;
  readonly #onCancel: () => void;
  readonly #stopIds: ReadonlySet<number>;
  readonly #detokenizer: Detokenizer;
  readonly #stopStrings: StopStrings;
  #ids: number[] = [];

  /** @param stopIds all of them, the request's and the model's */
  constructor(
    request: GenerationRequest,
    events: GenerationEvents,
    pieces: TokenPieces,
    stopIds: ReadonlySet<number>,
    cells: number,
    onCancel: () => void,
  ) {
    this.request = request;
    this.prompt = request.promptIds;
    this.cells = cells;
    this.tenant = request.tenant ?? '';
    this.priority = request.priority ?? 0;
    this.deadline = performance.now() + (request.deadlineMs ?? Number.POSITIVE_INFINITY);
    this.penalties = Penalties.of(request.sampling, request.promptIds);
    this.#events = events;
    this.#onCancel = onCancel;
    this.#stopIds = stopIds;
    this.#detokenizer = new Detokenizer(pieces);
    this.#stopStrings = new StopStrings(request.stopStrings);
  }

  get promptTokens(): number {
    return this.prompt.length;
  }

  cancel(): void {
    if (this.ended || this.cancelled) return;
    this.cancelled = true;
    this.#onCancel();
  }

  /** Takes a sampled token and tells its text. @returns why the answer is complete, if it is */
  accept(id: number): EndReason | undefined {
    this.completionTokens++;
    if (this.#stopIds.has(id)) {
      this.#tell(this.#rest(this.#stopStrings.push(this.#detokenizer.flush())));
      return 'stop';
    }
    this.#ids.push(id);
    this.penalties?.add(id);
    this.next = id;
    const shown = this.#stopStrings.push(this.#detokenizer.push(id));
    const isLast = this.promptTokens + this.completionTokens >= this.cells;
    if (shown.found || !isLast) {
      this.#tell(shown.text);
      return shown.found ? 'stop' : undefined;
    }
    const tail = this.#stopStrings.push(this.#detokenizer.flush());
    this.#tell(shown.text + this.#rest(tail));
    return tail.found ? 'stop' : 'length';
  }

  end(reason: EndReason, error?: Error): void {
    this.ended = true;
    const { promptTokens, completionTokens } = this;
    const cachedTokens = this.lease?.cached ?? 0;
    this.#events.onEnd({ reason, promptTokens, completionTokens, cachedTokens, ...(error && { error }) });
  }

  #rest(shown: { text: string; found: boolean }): string {
    return shown.found ? shown.text : shown.text + this.#stopStrings.flush();
  }

  #tell(text: string): void {
    if (text === '') return;
    const ids = this.#ids;
    this.#ids = [];
    this.#events.onText(text, ids, this.completionTokens);
  }
}
