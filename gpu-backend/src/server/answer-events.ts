/** An answer's events as they come from the engine → the bytes of its stream, for all of its choices. */
import type { GenerationEnd, TokenDetails } from '../engine/types.ts';
import type { GenerateRequest, NodeUsage } from '../protocol.ts';
import { echoOf } from './echo.ts';
import type { ApiError } from './errors.ts';
import { Frames } from './frames.ts';
import { ToolCalls } from './tool-calls.ts';

interface Choice {
  frames: Frames;
  /** Where tools may be called. */
  calls: ToolCalls | undefined;
  /** Told by the engine, not yet here: text of a call that adds nothing by itself. */
  ids: number[];
  details: TokenDetails[];
}

export class AnswerEvents {
  readonly #choices: readonly Choice[];
  readonly #before: string;

  constructor(request: GenerateRequest, fingerprint: string) {
    const { events, n = 1, format, continue_ids } = request;
    this.#choices = Array.from({ length: n }, (_, index) => ({
      frames: new Frames(events, fingerprint, index),
      calls: format?.type === 'tools' ? new ToolCalls(`${events.id} ${index}`) : undefined,
      ids: [],
      details: [],
    }));
    const echoed = echoOf(request);
    const before = this.#choices.map(({ frames }) => {
      frames.skip(echoed);
      return frames.role() + (echoed === '' ? '' : frames.text(echoed, [], 0));
    });
    // Told already, where the answer began.
    this.#before = continue_ids === undefined ? before.join('') : '';
  }

  /** What stands before the first text. */
  begin(): string {
    return this.#before;
  }

  /** Text that was told elsewhere. */
  continued(text: string): void {
    const [{ frames, calls }] = this.#choices as [Choice];
    frames.skip(text);
    calls?.push(text);
  }

  /** @returns '' where nothing can be told yet */
  text(
    index: number,
    text: string,
    ids: readonly number[],
    position: number,
    details?: TokenDetails,
  ): string {
    const choice = this.#choices[index] as Choice;
    const { frames, calls } = choice;
    if (!calls) return frames.text(text, ids, position, details);
    choice.ids.push(...ids);
    if (details) choice.details.push(details);
    const delta = calls.push(text);
    return delta ? frames.delta(delta, ...this.#take(choice, position)) : '';
  }

  /** A choice has ended well. */
  finish(index: number, { reason, ids = [], details }: GenerationEnd, position: number): string {
    const choice = this.#choices[index] as Choice;
    const { frames, calls } = choice;
    const finished = reason === 'length' ? 'length' : 'stop';
    if (!calls) return frames.finish(finished, position, ids, details);
    choice.ids.push(...ids);
    if (details) choice.details.push(details);
    const why = finished === 'stop' && calls.count > 0 ? 'tool_calls' : finished;
    return frames.finish(why, position, ...this.#rest(choice), calls.flush());
  }

  done(usage: NodeUsage): string {
    return (this.#choices[0] as Choice).frames.done(usage);
  }

  failure(usage: NodeUsage, error: ApiError): string {
    return (this.#choices[0] as Choice).frames.failure(usage, error.body);
  }

  #take(choice: Choice, position: number): [number[], number, TokenDetails | undefined] {
    const [ids, details] = this.#rest(choice);
    return [ids, position, details];
  }

  #rest(choice: Choice): [number[], TokenDetails | undefined] {
    const { ids, details } = choice;
    choice.ids = [];
    choice.details = [];
    return [ids, together(details)];
  }
}

function together(details: readonly TokenDetails[]): TokenDetails | undefined {
  if (details.length <= 1) return details[0];
  const experts = details.flatMap((one) => (one.experts ? [one.experts] : []));
  const logprobs = details.flatMap((one) => one.logprobs ?? []);
  return {
    ...(experts.length > 0 && { experts: new Uint8Array(Buffer.concat(experts)) }),
    ...(logprobs.length > 0 && { logprobs }),
  };
}
