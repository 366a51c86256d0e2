/**
 * The fields that chat and text completions share: how to generate, and what shape the answer takes.
 * Every field that OpenAI documents stands in a schema: honoured, or accepted only where it asks for nothing.
 * A field that stands nowhere is refused by name, so that a typo cannot pass for a setting.
 */
import type { GenerateRequest, Sampling } from 'huozi-gpu-backend/protocol';
import * as z from 'zod/mini';
import { formatFields } from './answer-format.ts';
import { refuse } from './errors.ts';
import { idle, label } from './idle-fields.ts';
import { list, map } from './list.ts';
import { also, orString } from './other-forms.ts';

const penalty = z._default(z.number().check(z.minimum(-2), z.maximum(2)), 0);
export const tokenCount = z.optional(z.int().check(z.positive()));
/** One stop string stands for a list of one. */
const stopStrings = z
  .pipe(
    z.transform((value: unknown) => (typeof value === 'string' ? [value] : value)),
    list(z.string('must be a string or a list of strings.').check(z.minLength(1), z.maxLength(256)), {
      max: 16,
      error: 'must be a string or a list of strings.',
    }),
  )
  .register(also, orString);

const logitBias = map(
  z.string().check(z.regex(/^\d{1,7}$/, 'must be a token id.')),
  z.number().check(z.minimum(-100), z.maximum(100)),
  { max: 1_024 },
);

export const generationFields = {
  model: z.string().check(z.minLength(1), z.maxLength(128)),
  /** The model's authors' settings are the defaults. */
  temperature: z._default(z.number().check(z.minimum(0), z.maximum(2)), 0.8),
  top_p: z._default(z.number().check(z.minimum(0), z.maximum(1)), 0.9),
  presence_penalty: penalty,
  frequency_penalty: penalty,
  logit_bias: z.optional(logitBias),
  /** Any integer; taken modulo 2³². Absent: another one for each request. */
  seed: z.optional(z.int()),
  max_tokens: tokenCount,
  /** Choice i samples with seed + i. */
  n: z._default(z.int().check(z.minimum(1), z.maximum(8)), 1),
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
  stop_token_ids: z._default(list(z.int().check(z.nonnegative()), { max: 64 }), []),
  ignore_eos: z._default(z.boolean(), false),
  min_tokens: z._default(z.int().check(z.nonnegative()), 0),
  return_routed_experts: z._default(z.boolean(), false),
  /** As at vLLM, lower goes first. For keys with the scope of that name. */
  priority: z._default(z.int().check(z.minimum(-100), z.maximum(100)), 0),
  ...formatFields,

  /** As llama.cpp's server names them. */
  typical_p: z._default(z.number().check(z.gt(0), z.maximum(1)), 1),
  /** 0 turns all of DRY off. */
  dry_multiplier: z._default(z.number().check(z.minimum(0), z.maximum(10)), 0),
  dry_base: z._default(z.number().check(z.minimum(1), z.maximum(10)), 1.75),
  dry_allowed_length: z._default(z.int().check(z.minimum(1), z.maximum(64)), 2),
  /** Tokens looked back over: −1 is all of them, 0 turns DRY off. */
  dry_penalty_last_n: z._default(z.int().check(z.minimum(-1)), -1),
  dry_sequence_breakers: z._default(list(z.string().check(z.minLength(1), z.maxLength(32)), { max: 16 }), [
    '\n',
    ':',
    '"',
    '*',
  ]),

  /** With `stream`: the answer goes on without its client, which may come back for the rest (streams/README.md). */
  resumable: z._default(z.boolean(), false),

  user: label,
};

const generation = z.object({ ...generationFields, max_completion_tokens: tokenCount });
type Fields = z.output<typeof generation>;

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
  /** What most requests do not ask for; absent where they do not. */
  options: Pick<
    GenerateRequest,
    'n' | 'logprobs' | 'echo' | 'format' | 'min_tokens' | 'return_routed_experts' | 'priority'
  >;
  /** The client's field that `options.format` comes from. */
  formatField: string | undefined;
}

export function toGeneration(fields: Fields): Generation {
  const { max_tokens, max_completion_tokens } = fields;
  if (
    max_tokens !== undefined &&
    max_completion_tokens !== undefined &&
    max_tokens !== max_completion_tokens
  ) {
    refuse('max_tokens', 'differs from max_completion_tokens; give one of them.');
  }
  if (fields.resumable && !fields.stream) refuse('resumable', 'is for streams: needs stream to be true.');
  const maxTokens = max_completion_tokens ?? max_tokens;
  if (maxTokens !== undefined && fields.min_tokens > maxTokens)
    refuse('min_tokens', 'is more than max_tokens.');
  // Which choice's experts an event holds is for its choices to say, and an answer in one piece has no place for it.
  if (fields.return_routed_experts && fields.n > 1) refuse('return_routed_experts', 'is for n = 1 alone.');
  return {
    model: fields.model,
    stream: fields.stream,
    includeUsage: fields.stream_options?.include_usage ?? false,
    sampling: sampling(fields),
    maxTokens,
    stop: fields.stop ?? [],
    stopTokenIds: fields.stop_token_ids,
    ignoreEos: fields.ignore_eos,
    options: {
      ...(fields.n > 1 && { n: fields.n }),
      ...(fields.min_tokens > 0 && { min_tokens: fields.min_tokens }),
      ...(fields.return_routed_experts && { return_routed_experts: true }),
      // Nodes take the higher one first.
      ...(fields.priority !== 0 && { priority: -fields.priority }),
    },
    formatField: undefined,
  };
}

function sampling(fields: Fields): Sampling {
  const { logit_bias, typical_p, dry_multiplier, dry_penalty_last_n } = fields;
  return {
    temperature: fields.temperature,
    // 0 keeps the likeliest token alone, as it does at OpenAI; nodes want more than 0.
    top_p: Math.max(fields.top_p, 1e-6),
    top_k: Math.max(fields.top_k, 0),
    min_p: fields.min_p,
    repetition_penalty: fields.repetition_penalty,
    presence_penalty: fields.presence_penalty,
    frequency_penalty: fields.frequency_penalty,
    seed: fields.seed === undefined ? randomSeed() : fields.seed >>> 0,
    ...(logit_bias && Object.keys(logit_bias).length > 0 && { logit_bias }),
    ...(typical_p < 1 && { typical_p }),
    ...(dry_multiplier > 0 &&
      dry_penalty_last_n !== 0 && {
        dry: {
          multiplier: dry_multiplier,
          base: fields.dry_base,
          allowed_length: fields.dry_allowed_length,
          // Nodes say 0 for all of them.
          last_n: Math.max(dry_penalty_last_n, 0),
          sequence_breakers: fields.dry_sequence_breakers,
        },
      }),
  };
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}
