/** The bytes a client reads, in OpenAI's shapes. See protocol.ts for the layout of an event. */
import { createHash } from 'node:crypto';
import type { EngineInfo, TokenDetails, TokenLogprob } from '../engine/types.ts';
import type { ClientEvents, EndReason, ErrorBody, NodeUsage } from '../protocol.ts';
import { version } from '../version.ts';

export type FinishReason = Extract<EndReason, 'stop' | 'length'> | 'tool_calls';

/** Changes when the weights, this package or llama.cpp do: what `seed` can be trusted across. */
export function systemFingerprint({ modelName, library }: EngineInfo): string {
  const identity = JSON.stringify([modelName, version, library.version, library.backends]);
  return `fp_${createHash('sha256').update(identity).digest('hex').slice(0, 10)}`;
}

function clientUsage({ prompt_tokens, completion_tokens, cached_tokens }: NodeUsage) {
  const total_tokens = prompt_tokens + completion_tokens;
  const details = cached_tokens === undefined ? {} : { prompt_tokens_details: { cached_tokens } };
  return { prompt_tokens, completion_tokens, total_tokens, ...details };
}

/**
 * The events of one choice of a stream. Everything that does not change from token to token is serialised once, so
 * that a text event costs one JSON.stringify of its text and a concatenation.
 */
export class Frames {
  readonly #events: ClientEvents;
  readonly #chat: boolean;
  readonly #head: string;
  readonly #index: number;
  readonly #usageNull: string;
  readonly #beforeText: string;
  readonly #afterText: string;
  readonly #offsets = new TextOffsets();

  constructor(events: ClientEvents, fingerprint: string, index = 0) {
    const { id, object, created, model } = events;
    const chat = object === 'chat.completion';
    const head = JSON.stringify({
      id,
      object: chat ? 'chat.completion.chunk' : object,
      created,
      model,
      system_fingerprint: fingerprint,
    });
    this.#events = events;
    this.#chat = chat;
    this.#index = index;
    this.#head = `${head.slice(0, -1)},"choices":`;
    this.#usageNull = events.include_usage ? ',"usage":null' : '';
    this.#beforeText = `\ndata: ${this.#head}[{"index":${index},${chat ? '"delta":{"content":' : '"text":'}`;
    this.#afterText = `${chat ? '}' : ''},"logprobs":null,"finish_reason":null}]${this.#usageNull}}\n\n`;
  }

  /** What stands before the first text of a chat answer; nothing for a completion. */
  role(position = 0): string {
    if (!this.#chat) return '';
    return this.#event(`"delta":{"role":"${this.#events.role}","content":""}`, position);
  }

  text(text: string, ids: readonly number[], position: number, details?: TokenDetails): string {
    if (details) return this.#event(this.#content(text), position, ids, details);
    return `id: ${position}${idsComment(ids)}${this.#beforeText}${JSON.stringify(text)}${this.#afterText}`;
  }

  /** Anything else that a chat's delta may hold. */
  delta(delta: object, ids: readonly number[], position: number, details?: TokenDetails): string {
    return this.#event(`"delta":${JSON.stringify(delta)}`, position, ids, details);
  }

  /** @param delta what a chat's last event says beside its reason */
  finish(
    reason: FinishReason,
    position: number,
    ids: readonly number[] = [],
    details?: TokenDetails,
    delta: object = {},
  ): string {
    const last = this.#chat ? `"delta":${JSON.stringify(delta)}` : '"text":""';
    return this.#event(last, position, ids, details, `"${reason}"`);
  }

  /** After all choices have finished: the usage event if asked for, `: usage` and `[DONE]`. */
  done(usage: NodeUsage): string {
    const { include_usage } = this.#events;
    const chunk = `${this.#head}[],"usage":${JSON.stringify(clientUsage(usage))}}`;
    const usageEvent = include_usage ? `id: ${usage.completion_tokens}\ndata: ${chunk}\n\n` : '';
    return `${usageEvent}${usageComment(usage)}data: [DONE]\n\n`;
  }

  /** The end of an answer that failed: no `finish_reason`, no `[DONE]`. */
  failure(usage: NodeUsage, error: ErrorBody): string {
    return `${usageComment(usage)}data: ${JSON.stringify(error)}\n\n`;
  }

  /** Text that was shown elsewhere: where in the whole text the next token begins depends on it. */
  skip(text: string): void {
    this.#offsets.skip(text);
  }

  #content(text: string): string {
    return this.#chat ? `"delta":{"content":${JSON.stringify(text)}}` : `"text":${JSON.stringify(text)}`;
  }

  #event(
    content: string,
    position: number,
    ids: readonly number[] = [],
    details?: TokenDetails,
    reason = 'null',
  ): string {
    const told = details?.logprobs;
    const logprobs = told?.length
      ? JSON.stringify(this.#chat ? chatLogprobs(told) : this.#offsets.logprobs(told))
      : 'null';
    const choice = `[{"index":${this.#index},${content},"logprobs":${logprobs},"finish_reason":${reason}}]`;
    return `id: ${position}${idsComment(ids)}${expertsComment(details)}\ndata: ${this.#head}${choice}${this.#usageNull}${routedExperts(details)}}\n\n`;
  }
}

function chatLogprobs(content: readonly TokenLogprob[]) {
  return { content, refusal: null };
}

/** Completions' older form of log-probabilities, which says where in the text each token begins, in code points. */
class TextOffsets {
  readonly #decoder = new TextDecoder();
  #offset = 0;

  skip(text: string): void {
    this.#offset += [...text].length;
  }

  logprobs(told: readonly TokenLogprob[]) {
    return {
      tokens: told.map(({ token }) => token),
      token_logprobs: told.map(({ logprob }) => logprob),
      top_logprobs: told.map(({ top_logprobs }) =>
        Object.fromEntries(top_logprobs.map(({ token, logprob }) => [token, logprob])),
      ),
      text_offset: told.map(({ bytes }) => {
        const offset = this.#offset;
        this.skip(this.#decoder.decode(Uint8Array.from(bytes ?? []), { stream: true }));
        return offset;
      }),
    };
  }
}

function idsComment(ids: readonly number[]): string {
  return ids.length === 0 ? '' : `\n: ids ${ids.length === 1 ? ids[0] : ids.join(',')}`;
}

const base64 = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
const expertsComment = (details?: TokenDetails) =>
  details?.experts ? `\n: experts ${base64(details.experts)}` : '';
const routedExperts = (details?: TokenDetails) =>
  details?.experts ? `,"routed_experts":"${base64(details.experts)}"` : '';

const usageComment = (usage: NodeUsage) => `: usage ${JSON.stringify(usage)}\n`;

/** One choice of an answer that is told in one piece. */
export interface WholeChoice {
  text: string;
  reason: FinishReason;
  toolCalls: readonly object[];
  logprobs: readonly TokenLogprob[] | undefined;
  experts: readonly Uint8Array[];
  /** Of `text`, what stands before the answer's own. */
  echoed: string;
}

/** The whole answer as one JSON body. */
export function completionBody(
  events: ClientEvents,
  fingerprint: string,
  whole: readonly WholeChoice[],
  usage: NodeUsage,
): string {
  const { id, object, created, model, role } = events;
  const chat = object === 'chat.completion';
  const choices = whole.map(({ text, reason, toolCalls, logprobs, echoed }, index) => {
    const offsets = new TextOffsets();
    offsets.skip(echoed);
    const told = logprobs && (chat ? chatLogprobs(logprobs) : offsets.logprobs(logprobs));
    const end = { logprobs: told ?? null, finish_reason: reason };
    if (!chat) return { text, index, ...end };
    const calls = toolCalls.length > 0 && { tool_calls: toolCalls };
    return { index, message: { role, content: calls && text === '' ? null : text, ...calls }, ...end };
  });
  const experts = whole.map((choice) => Buffer.concat(choice.experts).toString('base64'));
  const routed = experts.some((encoded) => encoded !== '');
  return JSON.stringify({
    id,
    object,
    created,
    model,
    system_fingerprint: fingerprint,
    choices,
    usage: clientUsage(usage),
    // One for each choice where there are several.
    ...(routed && { routed_experts: experts.length === 1 ? experts[0] : experts }),
  });
}
