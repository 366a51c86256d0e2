/**
 * What an answer must look like: OpenAI's `response_format`, and vLLM's `structured_outputs` and `guided_*`. The node
 * makes a grammar of it, so the form is kept whether or not `strict` asks for it.
 *
 * A JSON schema is also shown to the model, in the system turn, because a grammar alone forces a form on a model that
 * does not know what is wanted of it:
 *
 *     # 格式 Format
 *     回答是符合以下 JSON Schema 的 JSON。 The answer is JSON that fits this schema:
 *     {"name":"weather","description":"…","schema":{…}}
 */
import type { GenerateRequest } from 'huozi-gpu-backend/protocol';
import * as z from 'zod/mini';
import { refuse } from './errors.ts';
import { jsonObject } from './json-object.ts';
import { list } from './list.ts';
import { also, orString } from './other-forms.ts';

export type Format = NonNullable<GenerateRequest['format']>;

export interface AnswerFormat {
  format: Format;
  /** Which of the client's fields asked for it. */
  field: string;
  /** For the system turn; undefined where there is nothing to tell. */
  section: string | undefined;
}

const name = z.string().check(z.regex(/^[\w-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -.'));

const responseFormat = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({
      type: z.literal('json_schema'),
      json_schema: z.strictObject({
        name,
        description: z.nullish(z.string()),
        schema: z.nullish(jsonObject),
        strict: z.nullish(z.boolean()),
      }),
    }),
  ],
  {
    error: (issue) =>
      issue.code === 'invalid_union' ? 'must be "text", "json_object" or "json_schema".' : undefined,
  },
);

/** An object, or its JSON, as vLLM takes both. */
const schemaOrJson = z
  .pipe(
    z.transform((value: unknown) => {
      if (typeof value !== 'string') return value;
      try {
        return JSON.parse(value) as unknown;
      } catch {
        return value;
      }
    }),
    jsonObject,
  )
  .register(also, orString);
const grammar = z.string().check(z.minLength(1), z.maxLength(65_536));
const choices = list(z.string().check(z.minLength(1), z.maxLength(1_024)), { min: 1, max: 256 });
const noRegex = z.optional(z.custom(() => false, 'regular expressions are not supported: use a grammar.'));

export const formatFields = {
  response_format: z.optional(responseFormat),
  structured_outputs: z.optional(
    z.strictObject({
      json: z.nullish(schemaOrJson),
      json_object: z.nullish(z.boolean()),
      grammar: z.nullish(grammar),
      choice: z.nullish(choices),
      regex: z.optional(z.custom((value) => value === null, 'regular expressions are not supported.')),
    }),
  ),
  guided_json: z.optional(schemaOrJson),
  /** GBNF, the grammar language of llama.cpp. */
  guided_grammar: z.optional(grammar),
  guided_choice: z.optional(choices),
  guided_regex: noRegex,
};

const fieldsSchema = z.object(formatFields);

/** Undefined where any text will do. Throws an EdgeError when more than one form is asked for. */
export function answerFormat(fields: z.output<typeof fieldsSchema>): AnswerFormat | undefined {
  const { structured_outputs: outputs } = fields;
  const asked = [
    ...ofResponseFormat(fields.response_format),
    ...ofJson('structured_outputs', outputs?.json),
    ...(outputs?.json_object ? [ofAnyJson('structured_outputs')] : []),
    ...ofGrammar('structured_outputs', outputs?.grammar ?? anyOf(outputs?.choice)),
    ...ofJson('guided_json', fields.guided_json),
    ...ofGrammar('guided_grammar', fields.guided_grammar),
    ...ofGrammar('guided_choice', anyOf(fields.guided_choice)),
  ];
  const [first, second] = asked;
  if (second) {
    refuse(second.field, `asks for one form of the answer, and ${first!.field} for another.`);
  }
  return first;
}

function ofResponseFormat(asked: z.output<typeof responseFormat> | undefined): AnswerFormat[] {
  if (!asked || asked.type === 'text') return [];
  if (asked.type === 'json_object') return [ofAnyJson('response_format')];
  const { name, description, schema } = asked.json_schema;
  const section = schemaSection({
    name,
    ...(description && { description }),
    ...(schema && { schema }),
  });
  return [{ ...(schema ? withSchema('response_format', schema) : ofAnyJson('response_format')), section }];
}

function ofJson(field: string, schema: Record<string, unknown> | null | undefined): AnswerFormat[] {
  return schema ? [{ ...withSchema(field, schema), section: schemaSection({ schema }) }] : [];
}

function ofGrammar(field: string, gbnf: string | null | undefined): AnswerFormat[] {
  return gbnf ? [{ field, format: { type: 'grammar', gbnf }, section: undefined }] : [];
}

function ofAnyJson(field: string): AnswerFormat {
  return { field, format: { type: 'json_object' }, section: undefined };
}

function withSchema(field: string, schema: Record<string, unknown>): AnswerFormat {
  return { field, format: { type: 'json_schema', schema }, section: undefined };
}

function schemaSection(shown: object): string {
  return `# 格式 Format\n回答是符合以下 JSON Schema 的 JSON。 The answer is JSON that fits this schema:\n${JSON.stringify(shown)}`;
}

/** The grammar of one string out of several. */
function anyOf(strings: readonly string[] | null | undefined): string | undefined {
  return strings ? `root ::= ${strings.map(literal).join(' | ')}` : undefined;
}

/** GBNF knows fewer escapes than JSON: what needs one goes by its number. */
function literal(text: string): string {
  const escaped = text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must be escaped
    /["\\\u0000-\u001f\u007f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    (character) => {
      const code = character.charCodeAt(0);
      return `\\u${(code >= 0xd800 ? 0xfffd : code).toString(16).padStart(4, '0')}`;
    },
  );
  return `"${escaped}"`;
}
