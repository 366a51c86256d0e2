/** The body of `POST /v1/completions`, validated, as plain values. */
import * as z from 'zod/mini';
import { answerFormat } from './answer-format.ts';
import { refuse } from './errors.ts';
import { type Generation, generationFields, toGeneration } from './generation-fields.ts';
import { idle } from './idle-fields.ts';
import { also } from './other-forms.ts';
import { validate } from './validate.ts';

export interface CompletionRequest extends Generation {
  prompt: string;
}

/** What OpenAI documents for an absent max_tokens, in this endpoint only. */
const defaultMaxTokens = 16;

const oneString = 'must be a string: lists of prompts and of token ids are not supported.';

// A list of one string asks for the same as the string.
export const onePrompt = z
  .pipe(
    z.transform((value: unknown) => (Array.isArray(value) && value.length === 1 ? value[0] : value)),
    z.string(oneString),
  )
  .register(also, { also: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 1 } });

export const completionBody = z.strictObject({
  ...generationFields,
  prompt: onePrompt,
  max_tokens: z._default(z.int().check(z.positive()), defaultMaxTokens),
  echo: z._default(z.boolean(), false),
  logprobs: z.optional(z.int().check(z.minimum(0), z.maximum(20))),
  best_of: z.optional(z.int()),
  suffix: idle((value) => value === '', 'is not supported.'),
});

/** Throws an EdgeError that names the field at fault. */
export function parseCompletionRequest(json: unknown): CompletionRequest {
  const fields = validate(completionBody, json);
  const { best_of, echo, logprobs } = fields;
  if (best_of !== undefined && best_of !== fields.n) {
    refuse('best_of', 'only the value of n is supported: every choice that is made is shown.');
  }
  if (echo && logprobs !== undefined) {
    refuse('echo', 'the prompt has no log-probabilities; ask for one of both.');
  }
  const answer = answerFormat(fields);
  const generation = toGeneration(fields);
  return {
    ...generation,
    options: {
      ...generation.options,
      ...(logprobs !== undefined && { logprobs }),
      ...(echo && { echo }),
      ...(answer && { format: answer.format }),
    },
    formatField: answer?.field,
    prompt: fields.prompt,
  };
}
