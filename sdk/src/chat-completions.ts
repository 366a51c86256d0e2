/** `POST /v1/chat/completions` */
import type { ChatCompletion, ChatCompletionCreateParams } from './chat-types.ts';
import type { Requester, RequestOptions, WithRequestId } from './requester.ts';
import { ChatStream } from './stream.ts';

/** `huozi.chat.completions` */
export class ChatCompletions {
  #request: Requester;

  /** @internal */
  constructor(request: Requester) {
    this.#request = request;
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
    if (!body.stream) return this.#request.json<ChatCompletion>(path, body, options);
    return this.#request.stream(path, body, ChatStream, options);
  }
}
