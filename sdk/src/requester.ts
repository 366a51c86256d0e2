/** From a method's arguments to what it returns. */
import { createCall } from './call.ts';
import type { ClientSettings, RequestOptions } from './options.ts';
import type { HuoziStream } from './stream.ts';

/**
 * An answer that remembers its request's id, as openai's do. Not enumerable, so it stays out of JSON.
 *
 * @example
 * const completion = await huozi.chat.completions.create(body);
 * log(completion._request_id);
 */
export type WithRequestId<T> = T & { readonly _request_id?: string };

export async function requestJson<T>(
  settings: ClientSettings,
  path: string,
  body?: object,
  options?: RequestOptions,
): Promise<WithRequestId<T>> {
  // Headers come with the whole of an answer that is not streamed, long after the connection stands.
  const call = createCall(settings, path, body, options, body ? 'firstToken' : 'connect');
  return (await call.json()) as WithRequestId<T>;
}

export async function requestStream<S>(
  settings: ClientSettings,
  path: string,
  body: { stream_options?: unknown },
  kind: new (...args: ConstructorParameters<typeof HuoziStream>) => S,
  options?: RequestOptions,
): Promise<S> {
  // Usage is asked for unless the caller spoke of it; the chunk that carries it is then kept from the caller,
  // whose loop may well count on choices.
  const hidesUsage = body.stream_options === undefined;
  const asked = hidesUsage ? { ...body, stream_options: { include_usage: true } } : body;
  const call = createCall(settings, path, asked, options);
  return new kind(call, await call.open(), hidesUsage);
}
