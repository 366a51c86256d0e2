import type { EndReason } from '../protocol.ts';
import { Detokenizer } from './detokenizer.ts';
import { ContinuationError } from './errors.ts';
import { type LogitChange, logitChanges } from './logit-change.ts';
import { Logprobs } from './logprobs.ts';
import type { Lease } from './prefix-tree.ts';
import type { Sampler } from './sampler.ts';
import { StopStrings } from './stop-strings.ts';
import { drawAllowed, TokenGrammar } from './token-grammar.ts';
import type { TokenPieces } from './token-pieces.ts';
import type { Generation, GenerationEvents, GenerationRequest, TokenDetails } from './types.ts';

/** One generation on its way through queue, prefill and decode. The scheduler moves it; it tells its text. */
export class Sequence implements Generation {
  /** What is evaluated before the first draw: the prompt, and the answer so far when one goes on. */
  readonly prompt: Int32Array;
  readonly request: GenerationRequest;
  /** KV cells that it may come to use: prompt and answer. */
  readonly cells: number;
  readonly tenant: string;
  /** Index of its adapter among the engine's; 0 is none. */
  readonly adapter: number;
  /** Who may share its KV cells: those of its tenant and adapter. */
  readonly cacheSpace: string;
  priority: number;
  /** On `performance.now`'s clock. */
  readonly deadline: number;
  readonly arrivedAt = performance.now();
  /** From then to admission. */
  queuedMs: number | undefined;
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
  /** Experts of the tokens not yet told, `[layers, used]` each, with `returnExperts`. */
  #experts: Uint8Array[] = [];
  /** Why the answer was complete before it could go on. */
  finished: EndReason | undefined;

  readonly #events: GenerationEvents;
  readonly #onCancel: () => void;
  readonly #changes: readonly LogitChange[];
  readonly #grammar: TokenGrammar | undefined;
  readonly #logprobs: Logprobs | undefined;
  readonly #stopIds: ReadonlySet<number>;
  readonly #detokenizer: Detokenizer;
  readonly #stopStrings: StopStrings;
  #ids: number[] = [];

  /**
   * @param stopIds all of them, the request's and the model's
   * @param ends those of them that a grammar may end with; the first is taken where nothing else is left
   * @throws ContinuationError, InvalidGrammarError
   */
  constructor(
    request: GenerationRequest,
    events: GenerationEvents,
    pieces: TokenPieces,
    stopIds: ReadonlySet<number>,
    cells: number,
    onCancel: () => void,
    ends: ReadonlySet<number> = new Set(),
    adapter: { index: number; cacheSpace: string } = { index: 0, cacheSpace: request.tenant ?? '' },
  ) {
    this.request = request;
    const { promptIds, continueIds } = request;
    this.prompt = continueIds?.length ? joined(promptIds, continueIds) : promptIds;
    this.cells = cells;
    this.tenant = request.tenant ?? '';
    this.adapter = adapter.index;
    this.cacheSpace = adapter.cacheSpace;
    this.priority = request.priority ?? 0;
    this.deadline = performance.now() + (request.deadlineMs ?? Number.POSITIVE_INFINITY);
    this.#events = events;
    this.#onCancel = onCancel;
    this.#stopIds = stopIds;
    this.#changes = logitChanges(request, stopIds, pieces);
    this.#grammar = request.grammar && new TokenGrammar(request.grammar, pieces, ends);
    this.#logprobs = request.logprobs === undefined ? undefined : new Logprobs(request.logprobs, pieces);
    this.#detokenizer = new Detokenizer(pieces);
    this.#stopStrings = new StopStrings(request.stopStrings);
    if (continueIds?.length) this.#replay(continueIds);
  }

  /** Of `prompt`, the answer so far included. */
  get promptTokens(): number {
    return this.prompt.length;
  }

  cancel(): void {
    if (this.ended || this.cancelled) return;
    this.cancelled = true;
    this.#onCancel();
  }

  /** The next token, from the row of logits that begins at `offset`. */
  draw(sampler: Sampler, logits: Float32Array, offset: number): number {
    const logprobs = this.#logprobs;
    if (!logprobs) return this.#draw(sampler, logits, offset);
    logprobs.keep(logits.subarray(offset, offset + sampler.size));
    const id = this.#draw(sampler, logits, offset);
    if (!this.#stopIds.has(id)) logprobs.add(id);
    return id;
  }

  #draw(sampler: Sampler, logits: Float32Array, offset: number): number {
    for (const change of this.#changes) change.apply(logits, offset);
    const id = sampler.sample(logits, offset, this.request.sampling, this.past);
    const grammar = this.#grammar;
    if (!grammar || grammar.allows(id)) return id;
    return drawAllowed(grammar, id, logits.subarray(offset, offset + sampler.size), (row) =>
      sampler.sample(row, 0, this.request.sampling, this.past),
    );
  }

  /** Takes a sampled token and tells its text. @returns why the answer is complete, if it is */
  accept(id: number): EndReason | undefined {
    const { text, reason } = this.#take(id);
    this.#tell(text);
    return reason;
  }

  end(reason: EndReason, error?: Error): void {
    this.ended = true;
    const { completionTokens } = this;
    const promptTokens = this.request.promptIds.length;
    const cachedTokens = Math.min(this.lease?.cached ?? 0, promptTokens);
    const details = this.#details();
    const rest = this.#ids.length > 0 && { ids: this.#ids, ...(details && { details }) };
    const { queuedMs } = this;
    const counts = {
      promptTokens,
      completionTokens,
      cachedTokens,
      ...(queuedMs !== undefined && { queuedMs }),
    };
    this.#events.onEnd({ reason, ...counts, ...rest, ...(error && { error }) });
  }

  /** Everything that a token changes. @returns the text that it lets go */
  #take(id: number): { text: string; reason?: EndReason } {
    this.completionTokens++;
    this.#ids.push(id);
    if (this.#stopIds.has(id)) {
      return { text: this.#rest(this.#stopStrings.push(this.#detokenizer.flush())), reason: 'stop' };
    }
    for (const change of this.#changes) change.add(id);
    if (this.#grammar && !this.#grammar.accept(id)) {
      throw new ContinuationError(`the grammar does not allow token ${this.completionTokens}`);
    }
    this.next = id;
    const shown = this.#stopStrings.push(this.#detokenizer.push(id));
    if (shown.found) return { text: shown.text, reason: 'stop' };
    if (this.request.promptIds.length + this.completionTokens < this.cells) return { text: shown.text };
    const tail = this.#stopStrings.push(this.#detokenizer.flush());
    return { text: shown.text + this.#rest(tail), reason: tail.found ? 'stop' : 'length' };
  }

  #replay(ids: readonly number[]): void {
    let shown = '';
    for (const id of ids) {
      if (this.finished) {
        throw new ContinuationError(
          `the answer ended after ${this.completionTokens} of ${ids.length} tokens`,
        );
      }
      const { text, reason } = this.#take(id);
      shown += text;
      this.finished = reason;
    }
    this.#ids = [];
    this.#events.onContinued?.(shown);
  }

  /** Before `accept` of the token that was drawn there. */
  noteExperts(experts: Uint8Array): void {
    this.#experts.push(experts);
  }

  #details(): TokenDetails | undefined {
    const logprobs = this.#logprobs && { logprobs: this.#logprobs.take() };
    if (this.#experts.length === 0) return logprobs;
    const experts = new Uint8Array(Buffer.concat(this.#experts));
    this.#experts = [];
    return { experts, ...logprobs };
  }

  #rest(shown: { text: string; found: boolean }): string {
    return shown.found ? shown.text : shown.text + this.#stopStrings.flush();
  }

  #tell(text: string): void {
    if (text === '') return;
    const ids = this.#ids;
    this.#ids = [];
    this.#events.onText(text, ids, this.completionTokens, this.#details());
  }
}

function joined(prompt: Int32Array, answer: readonly number[]): Int32Array {
  const ids = new Int32Array(prompt.length + answer.length);
  ids.set(prompt);
  ids.set(answer, prompt.length);
  return ids;
}
