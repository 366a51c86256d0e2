/** `POST /v1/chat/completions` */

import type { ChatCompletion, ChatCompletionCreateParams } from './chat-types.ts';
import type { RequestOptions } from './options.ts';
import type { WithRequestId } from './requester.ts';
import type { ChatStream } from './stream.ts';

/**
 * `huozi.chat.completions`
 *
 * @example
 * const { completions }: { completions: ChatCompletions } = huozi.chat;
 */
export interface ChatCompletions {
  /**
   * Answers a conversation: as a stream with `stream: true`, else at once.
   *
   * @example
   * const { choices } = await huozi.chat.completions.create({
   *   model: 'huozi',
   *   messages: [{ role: 'user', content: '你好' }],
   * });
   */
  create(body: ChatCompletionCreateParams & { stream: true }, options?: RequestOptions): Promise<ChatStream>;
  create(
    body: ChatCompletionCreateParams & { stream?: false | null | undefined },
    options?: RequestOptions,
  ): Promise<WithRequestId<ChatCompletion>>;
  create(body: ChatCompletionCreateParams, options?: RequestOptions): Promise<ChatStream | ChatCompletion>;
}
