/** `huozi/responses`: `/v1/responses`. Apart from the client, so that a page that only chats does not load it. */
import type { Folding } from './fold.ts';
import type { RequestOptions } from './options.ts';
import { type Client, requestJson, type WithRequestId } from './requester.ts';
import type { HuoziResponse, ResponseCreateParams, ResponseEvent } from './response-types.ts';
import { HuoziStream } from './stream.ts';

export type * from './response-types.ts';

type Wire = Omit<HuoziResponse, 'output_text'>;

/** Events name their type; the first and the last carry the response, those between text. */
class ResponseFold implements Folding {
  whole: HuoziResponse | undefined;
  isWhole = false;
  sawToken = false;
  #text = '';

  add(event: ResponseEvent): boolean {
    if (typeof event.type !== 'string') throw new TypeError('An event without a type');
    const delta = this.textOf(event);
    if (delta) this.#text += delta;
    // Reasoning, calls and refusals are progress as text is.
    if (event.type.endsWith('.delta')) this.sawToken = true;
    const { response } = event as { response?: Wire };
    if (response) {
      this.isWhole = /^(completed|incomplete|cancelled)$/.test(response.status);
      this.whole = { ...response, output_text: textOfOutput(response) || this.#text };
    } else if (this.whole) this.whole.output_text = this.#text;
    return true;
  }

  textOf(event: ResponseEvent): string | undefined {
    return event.type === 'response.output_text.delta' ? event.delta : undefined;
  }
}

/**
 * A streamed response: iterate over its events, or over `textStream`.
 *
 * @example
 * const response = await stream.finalResponse();
 */
export class ResponseStream extends HuoziStream<ResponseEvent, HuoziResponse> {
  /** @internal */
  constructor(...[call, response]: ConstructorParameters<typeof HuoziStream>) {
    super(call, response, false, ResponseFold);
  }

  /**
   * The whole response. Reads the stream, or waits for its reader; rejects if it is not whole.
   *
   * @example
   * show((await stream.finalResponse()).output_text);
   */
  finalResponse(): Promise<HuoziResponse> {
    return this.finalCompletion();
  }
}

/**
 * OpenAI's Responses, over a client.
 *
 * @example
 * import { Huozi } from 'huozi';
 * import { Responses } from 'huozi/responses';
 *
 * const responses = new Responses(new Huozi({ baseURL, apiKey }));
 * const { output_text } = await responses.create({ model: 'huozi', input: '背诵《静夜思》' });
 */
export class Responses {
  #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Answers an input: as a stream of events with `stream: true`, else at once.
   *
   * @example
   * const stream = await responses.create({ model: 'huozi', input: '你好', stream: true });
   * for await (const text of stream.textStream) process.stdout.write(text);
   */
  create(body: ResponseCreateParams & { stream: true }, options?: RequestOptions): Promise<ResponseStream>;
  create(
    body: ResponseCreateParams & { stream?: false | null | undefined },
    options?: RequestOptions,
  ): Promise<WithRequestId<HuoziResponse>>;
  create(
    body: ResponseCreateParams,
    options?: RequestOptions,
  ): Promise<ResponseStream | WithRequestId<HuoziResponse>>;
  async create(
    body: ResponseCreateParams,
    options?: RequestOptions,
  ): Promise<ResponseStream | WithRequestId<HuoziResponse>> {
    if (!body.stream) return this.#json('', body, options);
    const call = this.#client.call('/responses', body, options);
    return new ResponseStream(call, await call.open(), false);
  }

  /**
   * A response that was stored.
   *
   * @example
   * const response = await responses.retrieve('resp_…');
   */
  retrieve(id: string, options?: RequestOptions): Promise<WithRequestId<HuoziResponse>> {
    return this.#json(at(id), undefined, options);
  }

  /**
   * Follows a stored response as a stream; one that runs in the background goes on live.
   *
   * @example
   * for await (const text of (await responses.stream('resp_…')).textStream) show(text);
   */
  async stream(
    id: string,
    options?: RequestOptions & { /** Only events after this `sequence_number`. */ startingAfter?: number },
  ): Promise<ResponseStream> {
    const after = options?.startingAfter === undefined ? '' : `&starting_after=${options.startingAfter}`;
    const call = this.#client.call(`/responses${at(id)}?stream=true${after}`, undefined, options);
    return new ResponseStream(call, await call.open(), false);
  }

  /**
   * Stops a response that is made in the background.
   *
   * @example
   * await responses.cancel(response.id);
   */
  cancel(id: string, options?: RequestOptions): Promise<WithRequestId<HuoziResponse>> {
    return this.#json(`${at(id)}/cancel`, {}, options);
  }

  /**
   * Forgets a stored response.
   *
   * @example
   * await responses.delete(response.id);
   */
  delete(id: string, options?: RequestOptions): Promise<WithRequestId<{ id: string; deleted: boolean }>> {
    return requestJson(this.#client.call, `/responses${at(id)}`, undefined, { ...options, method: 'DELETE' });
  }

  async #json(path: string, body: object | undefined, options?: RequestOptions) {
    const call = this.#client.call(`/responses${path}`, body, options, body ? 'firstToken' : 'connect');
    const response = (await call.json()) as WithRequestId<HuoziResponse>;
    response.output_text = textOfOutput(response);
    return response;
  }
}

const at = (id: string) => `/${encodeURIComponent(id)}`;

function textOfOutput({ output }: Wire): string {
  return (output ?? [])
    .flatMap((item) => (item.type === 'message' ? item.content : []))
    .map((part) => (part.type === 'output_text' ? part.text : ''))
    .join('');
}
