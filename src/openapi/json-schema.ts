/** JSON Schema: of the schemas that validate requests, and short words for those of answers. */
import * as z from 'zod/mini';
import { also } from '../other-forms.ts';
import { fieldNotes } from './field-notes.ts';

export type JsonSchema = { [keyword: string]: unknown };

/** What a client may send for `schema` to take it. Null asks for the default in a body's own fields, see validate.ts. */
export function inputSchema(schema: z.ZodMiniType): JsonSchema {
  const { $schema: _, ...made } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => tell(zodSchema, jsonSchema as JsonSchema),
  }) as JsonSchema;
  for (const [name, property] of Object.entries((made.properties ?? {}) as Record<string, JsonSchema>)) {
    const note = fieldNotes[name];
    if (note && property.description === undefined) property.description = note;
  }
  return made;
}

function tell(schema: z.core.$ZodType, json: JsonSchema): void {
  const { def } = schema._zod;
  // Fields that are taken only where they ask for nothing say so in their refusal.
  if (def.type === 'custom') {
    const message = def.error?.({} as never);
    if (typeof message === 'string') json.description = `${onlyIdle} ${message}`;
  }
  // Bounds of JSON's numbers, not of the field.
  if (json.maximum === Number.MAX_SAFE_INTEGER) delete json.maximum;
  if (json.minimum === Number.MIN_SAFE_INTEGER) delete json.minimum;
  const more = also.get(schema as z.ZodMiniType);
  if (more?.optional)
    json.required = (json.required as string[]).filter((name) => !more.optional!.includes(name));
  if (more?.also) {
    const { ...itself } = json;
    for (const keyword of Object.keys(json)) delete json[keyword];
    json.anyOf = [more.also, itself];
  }
}

export const onlyIdle = 'Only where it asks for nothing:';

export const string = { type: 'string' };
export const integer = { type: 'integer' };
export const number = { type: 'number' };
export const boolean = { type: 'boolean' };
export const anything = {};
export const oneOf = (...values: (string | null)[]): JsonSchema => ({ enum: values });
export const only = (value: string | boolean): JsonSchema => ({ const: value });
export const orNull = (schema: JsonSchema): JsonSchema => ({ anyOf: [schema, { type: 'null' }] });
export const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });
export const mapOf = (values: JsonSchema): JsonSchema => ({ type: 'object', additionalProperties: values });
export const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });

/** A property is required unless its name ends in "?". */
export function object(properties: Record<string, JsonSchema>): JsonSchema {
  const entries = Object.entries(properties);
  return {
    type: 'object',
    properties: Object.fromEntries(entries.map(([name, schema]) => [name.replace('?', ''), schema])),
    required: entries.map(([name]) => name).filter((name) => !name.endsWith('?')),
  };
}
