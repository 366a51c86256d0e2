/**
 * The fields that chat and text completions share: how to generate, and what shape the answer takes.
 * Every field that OpenAI documents stands in a schema: honoured, or accepted only where it asks for nothing.
 * A field that stands nowhere is refused by name, so that a typo cannot pass for a setting.
 */
import type { Sampling } from 'huozi-gpu-backend/protocol';
import * as z from 'zod/mini';
import { EdgeError } from './errors.ts';

/** Accepted where it asks for nothing, refused otherwise. */
export function idle(asksForNothing: (value: unknown) => boolean, error: string) {
  return z.optional(z.custom(asksForNothing, error));
}

export const isEmptyArray = (value: unknown) => Array.isArray(value) && value.length === 0;
export const isObject = (value: unknown) =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isEmptyObject = (value: unknown) => isObject(value) && Object.keys(value as object).length === 0;

/** Says something about the request, changes nothing about the answer. */
export const label = z.optional(z.string());

const penalty = z._default(z.number().check(z.minimum(-2), z.maximum(2)), 0);
export const tokenCount = z.optional(z.int().check(z.positive()));
/** One stop string stands for a list of one. */
const stopStrings = z.pipe(
  z.transform((value: unknown) => (typeof value === 'string' ? [value] : value)),
  z
    .array(
      z.string('must be a string or a list of strings.').check(z.minLength(1), z.maxLength(256)),
      'must be a string or a list of strings.',
    )
    .check(z.maxLength(16)),
);

export const generationFields = {
  model: z.string().check(z.minLength(1), z.maxLength(128)),
  /** The model's authors' settings are the defaults. */
  temperature: z._default(z.number().check(z.minimum(0), z.maximum(2)), 0.8),
  top_p: z._default(z.number().check(z.minimum(0), z.maximum(1)), 0.9),
  presence_penalty: penalty,
  frequency_penalty: penalty,
  /** Any integer; taken modulo 2³². Absent: another one for each request. */
  seed: z.optional(z.int()),
  max_tokens: tokenCount,
  stop: z.optional(stopStrings),
  stream: z._default(z.boolean(), false),
  stream_options: z.optional(
    z.strictObject({
      include_usage: z.optional(z.boolean()),
      include_obfuscation: idle((value) => value === false, 'obfuscation is not supported.'),
    }),
  ),

  /** Beyond OpenAI's, as vLLM names them. −1 and 0 both turn top_k off. */
  top_k: z._default(z.int().check(z.minimum(-1)), 0),
  min_p: z._default(z.number().check(z.minimum(0), z.maximum(1)), 0),
  repetition_penalty: z._default(z.number().check(z.gt(0), z.maximum(2)), 1),
  stop_token_ids: z._default(z.array(z.int().check(z.nonnegative())).check(z.maxLength(64)), []),
  ignore_eos: z._default(z.boolean(), false),

  user: label,
  n: idle((value) => value === 1, 'only 1 is supported.'),
  logit_bias: idle(isEmptyObject, 'is not supported yet.'),
};

const generation = z.object({ ...generationFields, max_completion_tokens: tokenCount });

/** What both kinds of completion ask of a node, in plain values. */
export interface Generation {
  model: string;
  stream: boolean;
  includeUsage: boolean;
  sampling: Sampling;
  /** Absent: as many as the context holds, within the node's own bound. */
  maxTokens: number | undefined;
  stop: string[];
  stopTokenIds: number[];
  ignoreEos: boolean;
}

export function toGeneration(fields: z.output<typeof generation>): Generation {
  const { max_tokens, max_completion_tokens } = fields;
  if (
    max_tokens !== undefined &&
    max_completion_tokens !== undefined &&
    max_tokens !== max_completion_tokens
  ) {
    throw new EdgeError({
      kind: 'invalid_request',
      param: 'max_tokens',
      message: 'max_tokens: differs from max_completion_tokens; give one of them.',
    });
  }
  return {
    model: fields.model,
    stream: fields.stream,
    includeUsage: fields.stream_options?.include_usage ?? false,
    sampling: {
      temperature: fields.temperature,
      // 0 keeps the likeliest token alone, as it does at OpenAI; nodes want more than 0.
      top_p: Math.max(fields.top_p, 1e-6),
      top_k: Math.max(fields.top_k, 0),
      min_p: fields.min_p,
      repetition_penalty: fields.repetition_penalty,
      presence_penalty: fields.presence_penalty,
      frequency_penalty: fields.frequency_penalty,
      seed: fields.seed === undefined ? randomSeed() : fields.seed >>> 0,
    },
    maxTokens: max_completion_tokens ?? max_tokens,
    stop: fields.stop ?? [],
    stopTokenIds: fields.stop_token_ids,
    ignoreEos: fields.ignore_eos,
  };
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}
