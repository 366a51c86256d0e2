/** From a method's arguments to what it returns. */
import type { Call } from './call.ts';
import type { RequestOptions } from './options.ts';
import type { HuoziStream } from './stream.ts';

/**
 * An answer that remembers its request's id, as openai's do. Not enumerable, so it stays out of JSON.
 *
 * @example
 * const completion = await huozi.chat.completions.create(body);
 * log(completion._request_id);
 */
export type WithRequestId<T> = T & { readonly _request_id?: string };

/** Begins a call of one client's. What it knows stays in its closure: printing a client must not show the key. */
export type OpenCall = (
  path: string,
  body?: object,
  options?: CallOptions,
  headersWithin?: 'connect' | 'firstToken',
) => Call;

/** @internal */
export interface CallOptions extends RequestOptions {
  /** @default POST with a body, GET without */
  method?: string;
}

/** What is built on a client: `huozi/responses` and others take the client whole, and use this of it. */
export interface Client {
  /** @internal */
  readonly call: OpenCall;
}

export async function requestJson<T>(
  open: OpenCall,
  path: string,
  body?: object,
  options?: CallOptions,
): Promise<WithRequestId<T>> {
  // Headers come with the whole of an answer that is not streamed, long after the connection stands.
  const call = open(path, body, options, body ? 'firstToken' : 'connect');
  return (await call.json()) as WithRequestId<T>;
}

/** A stream's class, and what it is made of. */
export type StreamKind<S> = new (...args: ConstructorParameters<typeof HuoziStream>) => S;

/** Asked for unless the caller spoke of it; what carries it is then kept from the caller, whose loop may count on choices. */
const askedUsage = { include_usage: true };

/**
 * The `create` of a resource: an answer whole, or as a stream.
 *
 * @param preset `resumable` of streams that do not say
 */
export function creator<S, T>(open: OpenCall, path: string, kind: StreamKind<S>, preset: true | undefined) {
  return {
    async create(
      body: { stream?: boolean | null | undefined; stream_options?: unknown; resumable?: unknown },
      options?: RequestOptions,
    ): Promise<S | T> {
      if (!body.stream) return requestJson<T>(open, path, body, options);
      const { stream_options = askedUsage, resumable = preset } = body;
      const call = open(path, { ...body, stream_options, resumable }, options);
      return new kind(call, await call.open(), stream_options === askedUsage);
    },
  };
}
