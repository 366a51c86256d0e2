/** `huozi/streams`: answers that the edge keeps, followed from anywhere. */
import type { RequestOptions } from './options.ts';
import type { Client } from './requester.ts';
import { ChatStream } from './stream.ts';

/**
 * Follows an answer that was asked for elsewhere, in another page or before this one was reloaded: from its beginning,
 * and then as it comes. Leaving it ends the answer, as leaving the first stream does. A RequestError, code
 * `stream_not_found`, says that the edge keeps it no longer.
 *
 * @param keptAt as the first stream told it
 * @example
 * import { follow } from 'huozi/streams';
 * const stream = await follow(huozi, sessionStorage.answer);
 * for await (const text of stream.textStream) show(text);
 */
export async function follow(huozi: Client, keptAt: string, options?: RequestOptions): Promise<ChatStream> {
  const call = huozi.call(keptAt, undefined, options);
  call.stream = keptAt;
  return new ChatStream(call, await call.open(), true);
}
