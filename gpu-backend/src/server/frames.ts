/** The bytes a client reads, in OpenAI's shapes. See protocol.ts for the layout of an event. */
import { createHash } from 'node:crypto';
import type { EngineInfo, TokenDetails } from '../engine/types.ts';
import type { ClientEvents, EndReason, ErrorBody, NodeUsage } from '../protocol.ts';
import { version } from '../version.ts';

export type FinishReason = Extract<EndReason, 'stop' | 'length'>;

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
 * The events of one stream. Everything that does not change from token to token is serialised once, so
 * that a text event costs one JSON.stringify of its text and a concatenation.
 */
export class Frames {
  readonly #events: ClientEvents;
  readonly #head: string;
  readonly #usageNull: string;
  readonly #beforeText: string;
  readonly #afterText: string;
  readonly #end = '}\n\n';

  constructor(events: ClientEvents, fingerprint: string) {
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
    this.#head = `${head.slice(0, -1)},"choices":`;
    this.#usageNull = events.include_usage ? ',"usage":null' : '';
    this.#beforeText = `\ndata: ${this.#head}[{"index":0,${chat ? '"delta":{"content":' : '"text":'}`;
    this.#afterText = `${chat ? '}' : ''},"logprobs":null,"finish_reason":null}]${this.#usageNull}`;
  }

  /** What stands before the first text of a chat answer; nothing for a completion. */
  role(): string {
    if (this.#events.object !== 'chat.completion') return '';
    const delta = `"delta":{"role":"${this.#events.role}","content":""}`;
    return this.#event(0, `[{"index":0,${delta},"logprobs":null,"finish_reason":null}]${this.#usageNull}`);
  }

  text(text: string, ids: readonly number[], position: number, details?: TokenDetails): string {
    const head = `id: ${position}${idsComment(ids)}`;
    const chunk = `${this.#beforeText}${JSON.stringify(text)}${this.#afterText}`;
    if (!details?.experts) return `${head}${chunk}${this.#end}`;
    return `${head}${expertsComment(details)}${chunk}${routedExperts(details)}${this.#end}`;
  }

  /** The end of a good answer: finish event, usage event if asked for, `: usage` and `[DONE]`. */
  finish(
    reason: FinishReason,
    usage: NodeUsage,
    ids: readonly number[] = [],
    details?: TokenDetails,
  ): string {
    const position = usage.completion_tokens;
    const empty = this.#events.object === 'chat.completion' ? '"delta":{}' : '"text":""';
    const choices = `[{"index":0,${empty},"logprobs":null,"finish_reason":"${reason}"}]`;
    const usageEvent = this.#events.include_usage
      ? this.#event(position, `[],"usage":${JSON.stringify(clientUsage(usage))}`)
      : '';
    return `${this.#event(position, choices + this.#usageNull + routedExperts(details), ids, details)}${usageEvent}${usageComment(usage)}data: [DONE]\n\n`;
  }

  /** The end of an answer that failed: no `finish_reason`, no `[DONE]`. */
  failure(usage: NodeUsage, error: ErrorBody): string {
    return `${usageComment(usage)}data: ${JSON.stringify(error)}\n\n`;
  }

  #event(
    position: number,
    afterChoices: string,
    ids: readonly number[] = [],
    details?: TokenDetails,
  ): string {
    return `id: ${position}${idsComment(ids)}${expertsComment(details)}\ndata: ${this.#head}${afterChoices}}\n\n`;
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

/** The whole answer as one JSON body. */
export function completionBody(
  events: ClientEvents,
  fingerprint: string,
  text: string,
  reason: FinishReason,
  usage: NodeUsage,
  experts: readonly Uint8Array[] = [],
): string {
  const { id, object, created, model, role } = events;
  const end = { logprobs: null, finish_reason: reason };
  const choice =
    object === 'chat.completion'
      ? { index: 0, message: { role, content: text }, ...end }
      : { text, index: 0, ...end };
  return JSON.stringify({
    id,
    object,
    created,
    model,
    system_fingerprint: fingerprint,
    choices: [choice],
    usage: clientUsage(usage),
    ...(experts.length > 0 && { routed_experts: Buffer.concat(experts).toString('base64') }),
  });
}
