/** `POST /v1/completions`: text that goes on, without a conversation's template. */

import type { CompletionUsage, SamplingParams } from './chat-types.ts';
import type { RequestOptions } from './options.ts';
import type { WithRequestId } from './requester.ts';
import type { HuoziStream } from './stream.ts';

/**
 * The body of `completions.create`.
 *
 * @example
 * const body: CompletionCreateParams = { model: 'huozi', prompt: '床前明月光，', max_tokens: 16 };
 */
export interface CompletionCreateParams extends SamplingParams {
  model: string;
  /** Text, or token ids; or several of either. */
  prompt: string | string[] | number[] | number[][];
  stream?: boolean | null | undefined;
  echo?: boolean | null | undefined;
  logprobs?: number | null | undefined;
  suffix?: string | null | undefined;
}

/**
 * The answer, and each event of a streamed one.
 *
 * @example
 * const { choices }: Completion = await huozi.completions.create({ model: 'huozi', prompt: '床前明月光,' });
 * show(choices[0]?.text);
 */
export interface Completion {
  id: string;
  object: 'text_completion';
  /** Unix seconds. */
  created: number;
  model: string;
  choices: {
    index: number;
    text: string;
    /** Null while a stream goes on. */
    finish_reason: 'stop' | 'length' | 'content_filter' | null;
    logprobs?: {
      tokens?: string[];
      token_logprobs?: (number | null)[];
      top_logprobs?: (Record<string, number> | null)[];
      text_offset?: number[];
    } | null;
  }[];
  usage?: CompletionUsage;
  system_fingerprint?: string | null;
}

/**
 * A streamed completion.
 *
 * @example
 * const stream: CompletionStream = await huozi.completions.create({ model: 'huozi', prompt, stream: true });
 */
export type CompletionStream = HuoziStream<Completion, Completion>;

/**
 * `huozi.completions`
 *
 * @example
 * const completions: Completions = huozi.completions;
 */
export interface Completions {
  /**
   * Continues a text.
   *
   * @example
   * const stream = await huozi.completions.create({ model: 'huozi', prompt: '床前明月光，', stream: true });
   * for await (const text of stream.textStream) process.stdout.write(text);
   */
  create(
    body: CompletionCreateParams & { stream: true },
    options?: RequestOptions,
  ): Promise<CompletionStream>;
  create(
    body: CompletionCreateParams & { stream?: false | null | undefined },
    options?: RequestOptions,
  ): Promise<WithRequestId<Completion>>;
  create(body: CompletionCreateParams, options?: RequestOptions): Promise<CompletionStream | Completion>;
}
