/** `POST /v1/chat/completions` */

import type { ChatCompletion, ChatCompletionCreateParams } from './chat-types.ts';
import type { ClientSettings, RequestOptions } from './options.ts';
import { requestJson, requestStream, type WithRequestId } from './requester.ts';
import { ChatStream } from './stream.ts';

/** `huozi.chat.completions` */
export class ChatCompletions {
  #settings: ClientSettings;

  /** @internal */
  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

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
  create(body: ChatCompletionCreateParams, options?: RequestOptions): Promise<ChatStream | ChatCompletion> {
    const path = '/chat/completions';
    if (!body.stream) return requestJson<ChatCompletion>(this.#settings, path, body, options);
    return requestStream(this.#settings, path, body, ChatStream, options);
  }
}
