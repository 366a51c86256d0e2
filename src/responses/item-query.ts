/** Queries of stored responses. Lists come as `include=` or, from OpenAI's clients, as `include[]=`. */
import * as z from 'zod/mini';
import { refuse } from '../errors.ts';
import { idle } from '../idle-fields.ts';
import { pageLimit } from '../page-limit.ts';
import { validate } from '../validate.ts';
import type { Item } from './items.ts';

const include = idle(
  (value) => value !== 'message.output_text.logprobs',
  'log-probabilities are not stored.',
);

export const retrieval = z.strictObject({
  include,
  /** Of one in the background. */
  stream: z._default(z.literal(['true', 'false']), 'false'),
  /** `sequence_number` of the last event that the reader has. */
  starting_after: z.optional(
    z.string().check(z.regex(/^\d{1,15}$/, 'must be the sequence_number of an event.')),
  ),
  include_obfuscation: idle((value) => value === 'false', 'is not supported.'),
});

export const itemsQuery = z.strictObject({
  include,
  limit: pageLimit,
  order: z._default(z.literal(['asc', 'desc']), 'desc'),
  after: z.optional(z.string()),
});

/** Throws an EdgeError that names what is not supported. */
export function parseRetrieval(params: Record<string, string[]>): { stream: boolean; after: number } {
  const { stream, starting_after: last } = validate(retrieval, single(params));
  if (last !== undefined && stream !== 'true') refuse('starting_after', 'needs stream to be true.');
  // Events of a stream are counted from 1, those of a response from 0.
  return { stream: stream === 'true', after: last === undefined ? 0 : Number(last) + 1 };
}

export function parseItemsQuery(params: Record<string, string[]>) {
  const { limit, order, after } = validate(itemsQuery, single(params));
  return {
    /** One page of a response's items, which are given as they were written. */
    page(items: Item[]) {
      const ordered = order === 'asc' ? items : items.toReversed();
      const start = after === undefined ? 0 : ordered.findIndex(({ id }) => id === after) + 1;
      if (after !== undefined && start === 0) {
        refuse('after', 'is not the id of an item of this response.');
      }
      const data = ordered.slice(start, start + limit);
      return {
        object: 'list' as const,
        data,
        first_id: data[0]?.id ?? null,
        last_id: data.at(-1)?.id ?? null,
        has_more: start + limit < ordered.length,
      };
    },
  };
}

/** Of a list the first that is refused is the one to tell of; all else is taken once. */
function single(params: Record<string, string[]>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(params).map(([name, values]) => [
      name.replace(/\[\]$/, ''),
      values.find((value) => value === 'message.output_text.logprobs') ?? values[0]!,
    ]),
  );
}
