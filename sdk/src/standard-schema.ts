/** The two interfaces of standardschema.dev, as far as they are used here; zod, valibot, arktype and others have them. */

/**
 * A schema that can check a value: any zod, valibot or arktype schema is one.
 *
 * @example
 * const poem: StandardSchema<unknown, { title: string }> = z.object({ title: z.string() });
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Checked<Output> | Promise<Checked<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
    /** Standard JSON Schema: zod from 4.2 on has it, zod/mini and valibot do not. */
    readonly jsonSchema?:
      | { readonly input: (options: { target: 'draft-2020-12' }) => Record<string, unknown> }
      | undefined;
  };
}

type Checked<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] };

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/**
 * A schema, or one with its JSON Schema beside it where it cannot tell that itself.
 *
 * @example
 * import * as z from 'zod/mini';
 * const schema = z.object({ title: z.string() });
 * const told: SchemaSource<{ title: string }> = { schema, jsonSchema: z.toJSONSchema(schema) };
 */
export type SchemaSource<Output> =
  | StandardSchema<unknown, Output>
  | { readonly schema: StandardSchema<unknown, Output>; readonly jsonSchema: object };

/**
 * The type of the value that a schema lets through.
 *
 * @example
 * const Poem = z.object({ title: z.string() });
 * type Poem = OutputOf<typeof Poem>; // { title: string }
 */
export type OutputOf<Source> = Source extends { readonly schema: infer Inner }
  ? OutputOf<Inner>
  : Source extends { readonly '~standard': { readonly types?: infer Types } }
    ? NonNullable<Types> extends { readonly output: infer Output }
      ? Output
      : unknown
    : never;

/** A value, or what is wrong with it in one line: `stanzas.0: expected string`. */
export async function check<Output>(
  source: SchemaSource<Output>,
  value: unknown,
): Promise<{ value: Output } | { problem: string }> {
  const schema = 'schema' in source ? source.schema : source;
  const checked = await schema['~standard'].validate(value);
  if (!checked.issues) return { value: checked.value };
  const problem = checked.issues
    .map(({ path, message }) => (path?.length ? `${path.map(keyOf).join('.')}: ${message}` : message))
    .join('; ');
  return { problem };
}

const keyOf = (step: PropertyKey | { readonly key: PropertyKey }) =>
  String(typeof step === 'object' ? step.key : step);

/** Throws a TypeError where the schema does not know its JSON Schema and none is given. */
export function jsonSchemaOf(source: SchemaSource<unknown>): Record<string, unknown> {
  const json =
    'schema' in source
      ? source.jsonSchema
      : source['~standard'].jsonSchema?.input({ target: 'draft-2020-12' });
  if (!json) {
    const { vendor } = (source as StandardSchema)['~standard'];
    throw new TypeError(`This ${vendor} schema does not know its JSON Schema: give { schema, jsonSchema }`);
  }
  return json as Record<string, unknown>;
}
