/** Two schemas that hold at once, as one: what `allOf`, and keywords beside `$ref` or `anyOf`, mean. */
import { InvalidSchemaError } from './errors.ts';

export type Schema = Record<string, unknown>;

/** Say nothing of what is valid. */
const silent = new Set(
  [
    ['title', 'description', 'default', 'examples', 'example', 'deprecated', 'readOnly', 'writeOnly'],
    ['$schema', '$id', '$comment', '$defs', 'definitions', 'discriminator'],
  ].flat(),
);
/** The one that says more holds. */
const tighter: Record<string, (a: number, b: number) => number> = {
  minimum: Math.max,
  exclusiveMinimum: Math.max,
  minLength: Math.max,
  minItems: Math.max,
  maximum: Math.min,
  exclusiveMaximum: Math.min,
  maxLength: Math.min,
  maxItems: Math.min,
  maxProperties: Math.min,
};

/**
 * @param find what a `$ref` points at
 * @throws InvalidSchemaError where both speak of the same and cannot be put together
 */
export function mergeSchemas(
  a: Schema,
  b: Schema,
  path: string,
  find: (reference: unknown) => unknown,
  depth = 0,
): Schema {
  if (isSilent(b)) return a;
  if (isSilent(a)) return b;
  if (depth > 32) throw new InvalidSchemaError('$ref', path, 'leads to itself');
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    if (one.$ref === undefined || one.$ref === other.$ref) continue;
    const { $ref, ...rest } = one;
    const target = find($ref);
    if (target === false) throw new InvalidSchemaError('$ref', path, 'leads to what is never valid');
    const whole = target === true ? rest : mergeSchemas(rest, target as Schema, path, find, depth + 1);
    return mergeSchemas(other, whole, path, find, depth + 1);
  }
  const merged = own(a);
  for (const [keyword, value] of Object.entries(b)) {
    const before = merged[keyword];
    if (before === undefined || silent.has(keyword) || JSON.stringify(before) === JSON.stringify(value)) {
      merged[keyword] = before ?? value;
    } else {
      merged[keyword] = together(keyword, before, value, path, find, depth);
    }
  }
  closeOpenEnds(merged, a, b);
  return merged;
}

function together(
  keyword: string,
  a: unknown,
  b: unknown,
  path: string,
  find: (reference: unknown) => unknown,
  depth: number,
): unknown {
  const both = Object.hasOwn(tighter, keyword) && tighter[keyword];
  if (both && typeof a === 'number' && typeof b === 'number') return both(a, b);
  if (keyword === 'required' && Array.isArray(a) && Array.isArray(b)) return [...new Set([...a, ...b])];
  if (keyword === 'additionalProperties' && (a === false || b === false)) return false;
  if (keyword === 'additionalProperties' && (a === true || b === true)) return a === true ? b : a;
  if (keyword === 'allOf' && Array.isArray(a) && Array.isArray(b)) return [...a, ...b];
  if (keyword === 'type') {
    const [left, right] = [[a].flat(), [b].flat()];
    const common = left.filter(
      (type) => right.includes(type) || (type === 'integer' && right.includes('number')),
    );
    if (right.includes('integer') && left.includes('number') && !common.includes('integer'))
      common.push('integer');
    if (common.length > 0) return common;
  }
  if (keyword === 'enum' && Array.isArray(a) && Array.isArray(b)) {
    const known = new Set(b.map((value) => JSON.stringify(value)));
    return a.filter((value) => known.has(JSON.stringify(value)));
  }
  if (keyword === 'properties') {
    const properties = own(a as Schema);
    for (const [name, schema] of Object.entries(b as Schema)) {
      const known = properties[name];
      properties[name] =
        isObject(known) && isObject(schema)
          ? mergeSchemas(known, schema, path, find, depth + 1)
          : (known ?? schema);
      if (known === false || schema === false) properties[name] = false;
      else if (known === true) properties[name] = schema;
    }
    return properties;
  }
  throw new InvalidSchemaError(keyword, path, 'is said twice, in two ways');
}

/** `additionalProperties: false` of one side speaks of that side's properties alone: those of the other may not come. */
function closeOpenEnds(merged: Schema, a: Schema, b: Schema): void {
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    if (one.additionalProperties !== false || !isObject(merged.properties)) continue;
    const its = isObject(one.properties) ? one.properties : {};
    const others = isObject(other.properties) ? other.properties : {};
    const properties = own(merged.properties);
    for (const name of Object.keys(others)) if (!Object.hasOwn(its, name)) properties[name] = false;
    merged.properties = properties;
  }
}

/** A copy that holds nothing else: a property may be called `constructor`, or `__proto__`. */
function own(schema: Schema): Schema {
  return Object.assign(Object.create(null) as Schema, schema);
}

function isSilent(schema: Schema): boolean {
  return Object.keys(schema).every((keyword) => silent.has(keyword));
}

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
