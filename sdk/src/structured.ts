/** `huozi/structured`: an answer that is a value of your schema's type. */
import type { ChatCompletion, ChatCompletionCreateParams } from './chat-types.ts';
import type { Huozi } from './client.ts';
import { HuoziError } from './errors.ts';
import type { RequestOptions } from './options.ts';
import type { WithRequestId } from './requester.ts';
import { check, jsonSchemaOf, type OutputOf, type SchemaSource } from './standard-schema.ts';

export type { OutputOf, SchemaSource, StandardSchema } from './standard-schema.ts';

/**
 * The answer is not of the schema. `answer` is what the model wrote; `code` is `not_json`, `not_of_schema`, or the
 * `finish_reason` of an answer that was cut off, as `length`.
 *
 * @example
 * if (SchemaError.isInstance(error)) log(error.code, error.message, error.answer);
 */
export class SchemaError extends HuoziError {
  static override readonly name: string = 'SchemaError';
  declare readonly answer: string | null;
}

/**
 * A chat request without what {@link parse} sets itself.
 *
 * @example
 * const body: ParseParams = { model: 'huozi', messages };
 * await parse(huozi, body, Poem);
 */
export type ParseParams = Omit<ChatCompletionCreateParams, 'response_format' | 'stream' | 'n'>;

/**
 * Asks for an answer in the schema's shape (the server samples nothing else) and checks it with the schema: the value
 * is what the schema gives out, so defaults and transforms apply. Rejects with a {@link SchemaError}.
 *
 * @param schema any Standard Schema; with its JSON Schema beside it where it does not know that (zod/mini, valibot)
 * @example
 * import * as z from 'zod';
 * import { parse } from 'huozi/structured';
 *
 * const Poem = z.object({ title: z.string(), lines: z.array(z.string()) });
 * const { value } = await parse(huozi, { model: 'huozi', messages }, Poem);
 * value.lines.map((line) => line.length);
 */
export async function parse<Source extends SchemaSource<unknown>>(
  huozi: Pick<Huozi, 'chat'>,
  body: ParseParams,
  schema: Source,
  options?: RequestOptions & { /** Of the schema, for the model's eyes. @default 'answer' */ name?: string },
): Promise<{ value: OutputOf<Source>; completion: WithRequestId<ChatCompletion> }> {
  const { name = 'answer', ...rest } = options ?? {};
  const completion = await huozi.chat.completions.create(
    {
      ...body,
      response_format: {
        type: 'json_schema',
        json_schema: { name, schema: jsonSchemaOf(schema), strict: true },
      },
    },
    rest,
  );
  const { message, finish_reason } = completion.choices[0]!;
  const fail = (code: string, what: string) =>
    Object.assign(new SchemaError(what, { code, requestId: completion._request_id }), {
      answer: message.content,
    });
  if (finish_reason !== 'stop') throw fail(finish_reason, `The answer was cut off: ${finish_reason}`);
  let json: unknown;
  try {
    json = JSON.parse(message.content ?? '');
  } catch {
    throw fail('not_json', 'The answer is not JSON');
  }
  const checked = await check(schema, json);
  if ('problem' in checked) throw fail('not_of_schema', checked.problem);
  return { value: checked.value as OutputOf<Source>, completion };
}
