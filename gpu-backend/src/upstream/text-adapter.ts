/**
 * Engines that answer in text and tell no token ids: their stops are looked for in the text, their tokens are counted
 * as pieces unless they count themselves, and an answer cannot go on elsewhere. What needs ids or their logits they do
 * not have.
 */
import type { Logger } from 'pino';
import { ExpertsUnavailableError } from '../engine/errors.ts';
import type { Sampling } from '../protocol.ts';
import { UnsupportedFieldError, UpstreamUnreachableError } from './errors.ts';
import { endTexts, promptText } from './prompt-text.ts';
import { Reachability } from './reachability.ts';
import type { UpstreamAdapter, UpstreamEnd, UpstreamProgress, UpstreamRequest } from './upstream-engine.ts';
import type { KnownModel } from './vocabulary.ts';

export interface TextRequest {
  prompt: string | readonly number[];
  maxTokens: number;
  sampling: Sampling;
  stop: readonly string[];
}

export interface TextPiece {
  text: string;
  /** Once, with or after the last text. */
  finish?: 'stop' | 'length';
  completionTokens?: number;
}

/** How one kind of engine is spoken to. */
export interface TextTransport {
  readonly name: string;
  readonly takesIds: boolean;
  /** Of `Sampling`, beside temperature, top_p and seed. */
  readonly honours: ReadonlySet<keyof Sampling>;
  /** Answers that it is asked for at the same time, where that is known. */
  readonly slots?: number | undefined;
  body(request: TextRequest): object;
  /** @throws UpstreamStatusError, UpstreamUnreachableError, UpstreamMalformedError */
  send(
    body: object,
    signal: AbortSignal,
    onOpen: () => void,
    onPiece: (piece: TextPiece) => void,
  ): Promise<void>;
  /** Rejects where the engine is not there. */
  ask(): Promise<unknown>;
  close(): Promise<void>;
}

export interface TextLimits {
  maxSequence: number;
  slots: number;
}

/** Values that ask for nothing. */
const off: Partial<Record<keyof Sampling, unknown>> = {
  top_k: 0,
  min_p: 0,
  repetition_penalty: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  typical_p: 1,
};
const always: readonly (keyof Sampling)[] = ['temperature', 'top_p', 'seed'];

export class TextAdapter implements UpstreamAdapter {
  readonly name: string;
  readonly maxSequence: number;
  readonly slots: number;
  readonly stats = {};
  readonly endTexts = endTexts;
  readonly warnings: readonly string[];
  readonly #transport: TextTransport;
  readonly #model: KnownModel;
  readonly #reachability: Reachability;

  constructor(transport: TextTransport, model: KnownModel, { maxSequence, slots }: TextLimits, log: Logger) {
    this.name = transport.name;
    this.maxSequence = maxSequence;
    this.slots = transport.slots ?? slots;
    this.warnings = transport.takesIds
      ? [`${transport.name} tells no token ids: answers cannot go on on another node`]
      : [`${transport.name} takes prompts as text: markers in what was typed get a backslash`];
    this.#transport = transport;
    this.#model = model;
    this.#reachability = new Reachability(() => transport.ask(), transport.name, log);
  }

  get state(): 'ready' | 'restarting' {
    return this.#reachability.state;
  }

  body(request: UpstreamRequest): object {
    this.#check(request);
    const { promptIds, room, sampling, stopStrings } = request;
    return this.#transport.body({
      prompt: this.#transport.takesIds ? [...promptIds] : promptText(promptIds, this.#model),
      maxTokens: room,
      sampling,
      stop: [...endTexts, ...stopStrings],
    });
  }

  async run(
    body: object,
    _request: UpstreamRequest,
    progress: UpstreamProgress,
    signal: AbortSignal,
  ): Promise<UpstreamEnd> {
    let finish: TextPiece['finish'];
    let counted: number | undefined;
    const take = (piece: TextPiece) => {
      finish = piece.finish ?? finish;
      counted = piece.completionTokens ?? counted;
      if (piece.text !== '') progress.onDrawn({ ids: [], text: piece.text });
    };
    try {
      await this.#transport.send(body, signal, () => progress.onAccepted(), take);
    } catch (error) {
      if (error instanceof UpstreamUnreachableError && !signal.aborted) void this.#reachability.look();
      throw error;
    }
    if (!finish) throw new UpstreamUnreachableError('it ended the answer without a reason');
    return { reason: finish, ...(counted !== undefined && { completionTokens: counted }) };
  }

  async close(): Promise<void> {
    this.#reachability.stop();
    await this.#transport.close();
  }

  #check(request: UpstreamRequest): void {
    const { name, honours } = this.#transport;
    const { tokens, vocabulary } = this.#model;
    const { sampling, continueIds = [], minTokens = 0, stopIds } = request;
    if (request.returnExperts) throw new ExpertsUnavailableError();
    const lacks = (param: string) => new UnsupportedFieldError(param, name);
    if (request.logprobs !== undefined) throw lacks('logprobs');
    if (request.grammar) throw lacks('format');
    if (continueIds.length > 0) throw lacks('continue_ids');
    if (minTokens > 0) throw lacks('min_tokens');
    if (request.ignoreEos) throw lacks('ignore_eos');
    const known = [tokens.eos, tokens.begin, tokens.end];
    // One that the model does not have, such as the large model's marker to the small one, never comes.
    if (stopIds.some((id) => id < vocabulary && !known.includes(id))) throw lacks('stop_token_ids');
    for (const [field, value] of Object.entries(sampling) as [keyof Sampling, unknown][]) {
      if (value === undefined || always.includes(field) || honours.has(field)) continue;
      if (value !== off[field]) throw lacks(`sampling.${field}`);
    }
  }
}
