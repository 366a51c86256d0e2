/** An answer that is told in one piece: its choices as they gather. */
import type { GenerationEnd, TokenDetails, TokenLogprob } from '../engine/types.ts';
import type { GenerateRequest } from '../protocol.ts';
import { echoOf } from './echo.ts';
import type { FinishReason, WholeChoice } from './frames.ts';
import { ToolCalls, type ToolDelta } from './tool-calls.ts';

export class WholeAnswer {
  readonly #choices: Gathering[];

  constructor(request: GenerateRequest) {
    const { n = 1 } = request;
    this.#choices = Array.from({ length: n }, (_, index) => new Gathering(request, index));
  }

  text(index: number, text: string, details?: TokenDetails): void {
    this.#choices[index]?.add(text, details);
  }

  /** Text of an answer that goes on: not part of the body, but calls may have begun in it. */
  continued(text: string): void {
    this.#choices[0]?.skip(text);
  }

  finish(index: number, { reason, details }: GenerationEnd): void {
    this.#choices[index]?.finish(reason === 'length' ? 'length' : 'stop', details);
  }

  get choices(): readonly WholeChoice[] {
    return this.#choices;
  }
}

class Gathering implements WholeChoice {
  text: string;
  reason: FinishReason = 'stop';
  readonly toolCalls: { function: { arguments: string } }[] = [];
  readonly logprobs: TokenLogprob[] | undefined;
  readonly experts: Uint8Array[] = [];
  readonly echoed: string;
  readonly #calls: ToolCalls | undefined;

  constructor(request: GenerateRequest, index: number) {
    this.echoed = request.continue_ids === undefined ? echoOf(request) : '';
    this.text = this.echoed;
    this.logprobs = request.logprobs === undefined ? undefined : [];
    if (request.format?.type === 'tools') this.#calls = new ToolCalls(`${request.events.id} ${index}`);
  }

  skip(text: string): void {
    this.#calls?.push(text);
  }

  add(text: string, details?: TokenDetails): void {
    if (this.#calls) this.#fold(this.#calls.push(text) ?? {});
    else this.text += text;
    this.#note(details);
  }

  finish(reason: 'stop' | 'length', details?: TokenDetails): void {
    this.#note(details);
    this.reason = reason;
    if (!this.#calls) return;
    this.#fold(this.#calls.flush());
    if (reason === 'stop' && this.#calls.count > 0) this.reason = 'tool_calls';
  }

  #fold({ content = '', tool_calls = [] }: ToolDelta): void {
    this.text += content;
    for (const { index: _, ...call } of tool_calls) {
      if (call.id) this.toolCalls.push(call);
      else this.toolCalls.at(-1)!.function.arguments += call.function.arguments;
    }
  }

  #note(details?: TokenDetails): void {
    if (details?.experts) this.experts.push(details.experts);
    if (details?.logprobs) this.logprobs?.push(...details.logprobs);
  }
}
