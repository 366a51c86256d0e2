/** One answer of an engine elsewhere: its token ids become text, stop strings and ends here, as those of our own do. */
import { Detokenizer } from '../engine/detokenizer.ts';
import { ContinuationError } from '../engine/errors.ts';
import { StopStrings } from '../engine/stop-strings.ts';
import type { TokenPieces } from '../engine/token-pieces.ts';
import type {
  GenerationEnd,
  GenerationEvents,
  GenerationRequest,
  TokenDetails,
  TokenLogprob,
} from '../engine/types.ts';
import type { EndReason } from '../protocol.ts';

/** What an engine tells at a time. */
export interface Drawn {
  ids: readonly number[];
  /** One for each of `ids`. */
  logprobs?: readonly TokenLogprob[];
  /** `[ids, layers, experts used]` */
  experts?: Uint8Array;
  /** Of an engine that tells no ids: whole characters, one piece a token. Then there are no `ids`. */
  text?: string;
}

export class Answer {
  readonly promptTokens: number;
  /** Those of `continueIds` included. */
  completionTokens = 0;
  /** Why it is complete. */
  reason: EndReason | undefined;
  /** By a stop string, of which the engine knows nothing. */
  foundString = false;
  cachedTokens: number | undefined;
  ended = false;
  readonly #request: GenerationRequest;
  readonly #events: GenerationEvents;
  readonly #stopIds: ReadonlySet<number>;
  readonly #limit: number;
  readonly #detokenizer: Detokenizer;
  readonly #stopStrings: StopStrings;
  /** Not yet told. */
  #ids: number[] = [];
  #logprobs: TokenLogprob[] = [];
  #experts: Uint8Array[] = [];

  /**
   * @param stopIds all of them, the request's and the model's
   * @param limit tokens that the answer may have
   * @param endTexts beside the request's own, for an engine that tells no ids
   * @throws ContinuationError
   */
  constructor(
    request: GenerationRequest,
    events: GenerationEvents,
    pieces: TokenPieces,
    stopIds: ReadonlySet<number>,
    limit: number,
    endTexts: readonly string[] = [],
  ) {
    this.promptTokens = request.promptIds.length;
    this.#request = request;
    this.#events = events;
    this.#stopIds = stopIds;
    this.#limit = limit;
    this.#detokenizer = new Detokenizer(pieces);
    this.#stopStrings = new StopStrings([...request.stopStrings, ...endTexts]);
    if (request.continueIds?.length) this.#replay(request.continueIds);
  }

  /** Tells the text of new tokens. What comes after the end is dropped. @returns why it is complete, if it is */
  take({ ids, logprobs, experts, text: piece = '' }: Drawn): EndReason | undefined {
    let text = this.#takeText(piece);
    let used = 0;
    for (const id of ids) {
      if (this.reason) break;
      text += this.#take(id);
      const logprob = logprobs?.[used++];
      if (logprob && !this.#stopIds.has(id)) this.#logprobs.push(logprob);
    }
    if (experts) this.#experts.push(experts.subarray(0, (experts.length / ids.length) * used));
    if (text !== '') {
      const told = this.#ids;
      this.#ids = [];
      this.#events.onText(text, told, this.completionTokens, this.#details());
    }
    return this.reason;
  }

  /** Ids that nobody knows are counted, and not told. */
  #takeText(piece: string): string {
    if (this.reason || piece === '') return '';
    this.completionTokens++;
    const shown = this.#stopStrings.push(piece);
    if (shown.found) {
      this.reason = 'stop';
      this.foundString = true;
    }
    return shown.text;
  }

  /** The engine says that this was all. What was held back is told. */
  finish(reason: EndReason): void {
    if (!this.reason) {
      const rest = this.#stopStrings.push(this.#detokenizer.flush());
      this.reason = rest.found ? 'stop' : reason;
      const text = rest.found ? rest.text : rest.text + this.#stopStrings.flush();
      if (text !== '') {
        const told = this.#ids;
        this.#ids = [];
        this.#events.onText(text, told, this.completionTokens, this.#details());
      }
    }
    this.end(this.reason);
  }

  end(reason: EndReason, error?: Error): void {
    if (this.ended) return;
    this.ended = true;
    const { promptTokens, completionTokens, cachedTokens } = this;
    const details = this.#details();
    const end: GenerationEnd = {
      reason,
      promptTokens,
      completionTokens,
      ...(cachedTokens !== undefined && { cachedTokens: Math.min(cachedTokens, promptTokens) }),
      ...(this.#ids.length > 0 && { ids: this.#ids, ...(details && { details }) }),
      ...(error && { error }),
    };
    this.#events.onEnd(end);
  }

  /** @returns the text that a token lets go */
  #take(id: number): string {
    this.completionTokens++;
    this.#ids.push(id);
    if (this.#stopIds.has(id)) {
      this.reason = 'stop';
      return this.#rest(this.#stopStrings.push(this.#detokenizer.flush()));
    }
    const shown = this.#stopStrings.push(this.#detokenizer.push(id));
    if (shown.found) {
      this.reason = 'stop';
      this.foundString = true;
      return shown.text;
    }
    if (this.completionTokens < this.#limit) return shown.text;
    const tail = this.#stopStrings.push(this.#detokenizer.flush());
    this.reason = tail.found ? 'stop' : 'length';
    return shown.text + this.#rest(tail);
  }

  #rest(shown: { text: string; found: boolean }): string {
    return shown.found ? shown.text : shown.text + this.#stopStrings.flush();
  }

  #replay(ids: readonly number[]): void {
    let text = '';
    for (const id of ids) {
      if (this.reason) {
        const message = `the answer ended after ${this.completionTokens} of ${ids.length} tokens`;
        throw new ContinuationError(message);
      }
      text += this.#take(id);
    }
    this.#ids = [];
    this.#events.onContinued?.(text);
  }

  #details(): TokenDetails | undefined {
    const { logprobs, returnExperts } = this.#request;
    if (logprobs === undefined && !returnExperts) return undefined;
    const details: TokenDetails = {
      ...(logprobs !== undefined && { logprobs: this.#logprobs }),
      ...(this.#experts.length > 0 && { experts: new Uint8Array(Buffer.concat(this.#experts)) }),
    };
    this.#logprobs = [];
    this.#experts = [];
    return details;
  }
}
