/**
 * JSON schema → GBNF. Every text of the grammar is valid under the schema; not every valid value is a text of it
 * (properties come in their order, none beside the declared ones). A keyword that cannot be honoured is refused by
 * name: an answer that only looks as if it kept the schema is worse than none.
 */
import { InvalidSchemaError } from './errors.ts';
import { type Bound, decimalRange, integerRange } from './number-range.ts';
import { PatternError, patternRule } from './pattern.ts';
import { choice, literal, Rules, repeated } from './rules.ts';
import { mergeSchemas, type Schema } from './schema-merge.ts';
import { stringFormats } from './string-formats.ts';

const maxDepth = 48;
const maxNodes = 4_000;
const maxCount = 10_000;

/** Keywords that say what we do not build. */
const refused = [
  ...[
    'not',
    'if',
    'then',
    'else',
    'dependentRequired',
    'dependentSchemas',
    'dependencies',
    'patternProperties',
  ],
  ...[
    'propertyNames',
    'minProperties',
    'contains',
    'minContains',
    'maxContains',
    'multipleOf',
    'unevaluatedItems',
  ],
  ...['$dynamicRef', '$recursiveRef', 'additionalItems'],
];
const types = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const;
type Type = (typeof types)[number];

/** Types that a keyword without `type` speaks of. */
const typeOf: Record<string, Type> = {
  properties: 'object',
  required: 'object',
  additionalProperties: 'object',
  maxProperties: 'object',
  items: 'array',
  prefixItems: 'array',
  minItems: 'array',
  maxItems: 'array',
  pattern: 'string',
  minLength: 'string',
  maxLength: 'string',
  format: 'string',
  minimum: 'number',
  maximum: 'number',
  exclusiveMinimum: 'number',
  exclusiveMaximum: 'number',
};

/** Any JSON object. */
export function jsonObjectGrammar(): string {
  const rules = new Rules();
  return rules.gbnf(`${rules.json('object')} ${rules.json('ws')}`);
}

/** @throws InvalidSchemaError */
export function jsonSchemaGrammar(schema: unknown): string {
  const rules = new Rules();
  return rules.gbnf(schemaRule(rules, schema));
}

/** The expression of one schema among other rules. @throws InvalidSchemaError */
export function schemaRule(rules: Rules, schema: unknown, path = ''): string {
  try {
    return new Converter(rules, schema).convert(schema, path, 0);
  } catch (error) {
    // Values deep enough to overflow the stack can only stand in `const`, `enum` and what is compared.
    if (error instanceof RangeError) throw new InvalidSchemaError('schema', '', 'has too many levels');
    throw error;
  }
}

class Converter {
  readonly #rules: Rules;
  readonly #root: unknown;
  /** Rules of what `$ref` names. */
  readonly #references = new Map<string, string>();
  #nodes = 0;

  constructor(rules: Rules, root: unknown) {
    this.#rules = rules;
    this.#root = root;
  }

  convert(schema: unknown, path: string, depth: number): string {
    if (depth > maxDepth) throw new InvalidSchemaError('schema', path, 'has too many levels');
    if (++this.#nodes > maxNodes) throw new InvalidSchemaError('schema', path, 'has too many parts');
    if (schema === true) return this.#rules.json('value');
    if (schema === false) throw new InvalidSchemaError('schema', path, 'is false, so that nothing is valid');
    if (!isSchema(schema)) throw new InvalidSchemaError('schema', path, 'is not an object');
    for (const keyword of refused) {
      if (keyword in schema) throw new InvalidSchemaError(keyword, path, 'is not supported');
    }
    if (schema.uniqueItems === true) throw new InvalidSchemaError('uniqueItems', path, 'is not supported');
    if (schema.unevaluatedProperties !== undefined && typeof schema.unevaluatedProperties !== 'boolean')
      throw new InvalidSchemaError('unevaluatedProperties', path, 'is not supported');
    if (schema.$ref !== undefined) return this.#reference(schema, path, depth);
    if (schema.allOf !== undefined) return this.#all(schema, path, depth);
    for (const keyword of ['anyOf', 'oneOf']) {
      if (schema[keyword] !== undefined) return this.#any(schema, keyword, path, depth);
    }
    if (schema.nullable === true) {
      const { nullable: _, ...rest } = schema;
      return choice([this.convert(rest, path, depth + 1), this.#rules.json('null')]);
    }
    if (schema.const !== undefined || schema.enum !== undefined) return this.#values(schema, path);
    const options = this.#types(schema, path).map((type) => this.#typed(type, schema, path, depth));
    return options.length === 1 ? (options[0] as string) : this.#rules.add(options.join(' | '));
  }

  #types(schema: Schema, path: string): readonly Type[] {
    const { type } = schema;
    if (type === undefined) {
      const speaking = Object.keys(schema).filter((keyword) => Object.hasOwn(typeOf, keyword));
      const meant = new Set(speaking.map((keyword) => typeOf[keyword] as Type));
      return meant.size > 0 ? [...meant] : ['object', 'array', 'string', 'number', 'boolean', 'null'];
    }
    const list = (Array.isArray(type) ? type : [type]) as Type[];
    if (list.length === 0 || !list.every((name) => types.includes(name)))
      throw new InvalidSchemaError('type', path, `is none of ${types.join(', ')}`);
    return list.includes('number') ? list.filter((name) => name !== 'integer') : list;
  }

  #typed(type: Type, schema: Schema, path: string, depth: number): string {
    switch (type) {
      case 'object':
        return this.#object(schema, path, depth);
      case 'array':
        return this.#array(schema, path, depth);
      case 'string':
        return this.#string(schema, path);
      case 'number':
      case 'integer':
        return this.#number(type, schema, path);
      case 'boolean':
      case 'null':
        return this.#rules.json(type);
      default:
        return type satisfies never;
    }
  }

  #values(schema: Schema, path: string): string {
    const list = schema.enum === undefined ? [schema.const] : schema.enum;
    if (!Array.isArray(list) || list.length === 0)
      throw new InvalidSchemaError('enum', path, 'is not a list of values');
    if (list.length > maxCount) throw new InvalidSchemaError('enum', path, 'has too many values');
    const allowed = schema.type === undefined ? undefined : this.#types(schema, path);
    const fits = list.filter(
      (value) =>
        (!allowed || allowed.some((type) => isOfType(value, type))) &&
        (schema.const === undefined || JSON.stringify(value) === JSON.stringify(schema.const)),
    );
    if (fits.length === 0) throw new InvalidSchemaError('enum', path, 'has no value of the right type');
    return this.#rules.add(fits.map((value) => literal(JSON.stringify(value))).join(' | '));
  }

  #object(schema: Schema, path: string, depth: number): string {
    const ws = this.#rules.json('ws');
    const { properties = {}, required = [], additionalProperties, maxProperties } = schema;
    if (!isSchema(properties)) throw new InvalidSchemaError('properties', path, 'is not an object');
    if (!Array.isArray(required) || !required.every((name) => typeof name === 'string'))
      throw new InvalidSchemaError('required', path, 'is not a list of names');
    const names = [...new Set([...Object.keys(properties), ...(required as string[])])];
    if (names.length === 0) {
      const most = this.#count(schema, 'maxProperties', path) ?? Number.POSITIVE_INFINITY;
      if (additionalProperties === false) return this.#rules.add(`"{" ${ws} "}"`);
      const value = this.convert(additionalProperties ?? true, `${path}/additionalProperties`, depth + 1);
      const member = this.#rules.add(`${this.#rules.json('string')} ${ws} ":" ${ws} ${value} ${ws}`);
      return this.#rules.add(`"{" ${ws} ${repeated(member, `"," ${ws}`, 0, most)} "}"`);
    }
    if (maxProperties !== undefined && (this.#count(schema, 'maxProperties', path) ?? 0) < names.length)
      throw new InvalidSchemaError('maxProperties', path, 'is below the number of properties');
    const members = names.flatMap((name) => {
      const needed = required.includes(name);
      const has = Object.hasOwn(properties, name);
      if (!has && additionalProperties === false)
        throw new InvalidSchemaError('required', path, `names ${JSON.stringify(name)}, which is not allowed`);
      const own = has ? properties[name] : (additionalProperties ?? true);
      if (own === false && !needed) return [];
      const value = this.convert(own, `${path}/properties/${name}`, depth + 1);
      const body = `${literal(JSON.stringify(name))} ${ws} ":" ${ws} ${value} ${ws}`;
      return [{ needed, body: this.#rules.add(body) }];
    });
    return this.#rules.add(`"{" ${ws} ${this.#members(members, ws)} "}"`);
  }

  /** In their order, those that are not needed left out or not, with commas between what there is. */
  #members(members: readonly { needed: boolean; body: string }[], ws: string): string {
    let after = '""';
    let first = '""';
    for (const { needed, body } of [...members].reverse()) {
      first = needed ? `${body} ${after}` : `(${body} ${after} | ${first})`;
      after = needed ? `"," ${ws} ${body} ${after}` : `("," ${ws} ${body})? ${after}`;
      first = this.#rules.add(first);
      after = this.#rules.add(after);
    }
    return first;
  }

  #array(schema: Schema, path: string, depth: number): string {
    const ws = this.#rules.json('ws');
    const least = this.#count(schema, 'minItems', path) ?? 0;
    const most = this.#count(schema, 'maxItems', path) ?? Number.POSITIVE_INFINITY;
    if (most < least) throw new InvalidSchemaError('maxItems', path, 'is below minItems');
    const prefix = schema.prefixItems ?? (Array.isArray(schema.items) ? schema.items : []);
    if (!Array.isArray(prefix)) throw new InvalidSchemaError('prefixItems', path, 'is not a list of schemas');
    const rest = Array.isArray(schema.items) ? true : (schema.items ?? true);
    const comma = `"," ${ws}`;
    const item = (own: unknown, at: string) => this.#rules.add(`${this.convert(own, at, depth + 1)} ${ws}`);
    const items = prefix
      .map((own, i) => item(own, `${path}/prefixItems/${i}`))
      .slice(0, Math.min(most, maxCount));
    const isClosed = rest === false;
    if (isClosed && least > items.length)
      throw new InvalidSchemaError('minItems', path, 'is above the number of items');
    const more = isClosed || most === items.length ? undefined : item(rest, `${path}/items`);
    if (items.length === 0) {
      const all = more ? repeated(more, comma, least, most) : '';
      return this.#rules.add(`"[" ${ws} ${all} "]"`);
    }
    // Built from the end: each may be the last one once there are enough.
    let tail = more
      ? `(${comma} ${more}){${Math.max(0, least - items.length)},${most === Infinity ? '' : most - items.length}}`
      : '';
    for (let i = items.length - 1; i >= 0; i--) {
      const body = `${i === 0 ? '' : comma} ${items[i]} ${tail}`;
      tail = this.#rules.add(i < least ? body : `(${body})?`);
    }
    return this.#rules.add(`"[" ${ws} ${tail} "]"`);
  }

  #string(schema: Schema, path: string): string {
    const least = this.#count(schema, 'minLength', path) ?? 0;
    const most = this.#count(schema, 'maxLength', path) ?? Number.POSITIVE_INFINITY;
    if (most < least) throw new InvalidSchemaError('maxLength', path, 'is below minLength');
    const hasLength = least > 0 || most < Number.POSITIVE_INFINITY;
    const { pattern, format } = schema;
    const quoted = (inside: string) => this.#rules.add(`"\\"" (${inside}) "\\""`);
    if (pattern !== undefined) {
      if (typeof pattern !== 'string') throw new InvalidSchemaError('pattern', path, 'is not a string');
      if (hasLength) throw new InvalidSchemaError('pattern', path, 'is not supported together with a length');
      if (format !== undefined)
        throw new InvalidSchemaError('pattern', path, 'is not supported together with a format');
      try {
        return quoted(patternRule(pattern));
      } catch (error) {
        if (!(error instanceof PatternError)) throw error;
        throw new InvalidSchemaError('pattern', path, `${error.message}, which is not supported`);
      }
    }
    if (format !== undefined) {
      const inside = Object.hasOwn(stringFormats, String(format)) ? stringFormats[String(format)] : undefined;
      if (!inside)
        throw new InvalidSchemaError('format', path, `is none of ${Object.keys(stringFormats).join(', ')}`);
      if (hasLength) throw new InvalidSchemaError('format', path, 'is not supported together with a length');
      return quoted(inside);
    }
    if (!hasLength) return this.#rules.json('string');
    return quoted(repeated(this.#rules.json('char'), '', least, most));
  }

  #number(type: 'number' | 'integer', schema: Schema, path: string): string {
    const low = this.#bound(schema, 'minimum', 'exclusiveMinimum', Math.max, path);
    const high = this.#bound(schema, 'maximum', 'exclusiveMaximum', Math.min, path);
    if (!low && !high) return this.#rules.json(type);
    const range = type === 'integer' ? integerRange(low, high) : decimalRange(low, high);
    if (!range)
      throw new InvalidSchemaError(low ? 'minimum' : 'maximum', path, 'leaves no number that can be written');
    return this.#rules.add(range);
  }

  #bound(
    schema: Schema,
    inclusive: string,
    exclusive: string,
    tighter: (a: number, b: number) => number,
    path: string,
  ): Bound | undefined {
    const bounds: Bound[] = [];
    for (const keyword of [inclusive, exclusive]) {
      const value = schema[keyword];
      if (value === undefined || value === false) continue;
      // Draft 4 had `exclusiveMinimum: true` beside `minimum`.
      const isFlag = value === true && keyword === exclusive && typeof schema[inclusive] === 'number';
      const bound = isFlag ? (schema[inclusive] as number) : value;
      if (typeof bound !== 'number' || !Number.isFinite(bound))
        throw new InvalidSchemaError(keyword, path, 'is not a number');
      bounds.push({ value: bound, exclusive: keyword === exclusive });
    }
    const [first, second] = bounds;
    if (!first || !second) return first ?? second;
    if (first.value === second.value) return { value: first.value, exclusive: true };
    return tighter(first.value, second.value) === first.value ? first : second;
  }

  #any(schema: Schema, keyword: string, path: string, depth: number): string {
    const { [keyword]: list, ...rest } = schema;
    if (!Array.isArray(list) || list.length === 0)
      throw new InvalidSchemaError(keyword, path, 'is not a list of schemas');
    const options = list
      .filter((option) => option !== false)
      .map((option, i) =>
        this.convert(this.#merged(rest, option, path), `${path}/${keyword}/${i}`, depth + 1),
      );
    if (options.length === 0) throw new InvalidSchemaError(keyword, path, 'has nothing that is valid');
    return this.#rules.add(options.join(' | '));
  }

  #all(schema: Schema, path: string, depth: number): string {
    const { allOf, ...rest } = schema;
    if (!Array.isArray(allOf)) throw new InvalidSchemaError('allOf', path, 'is not a list of schemas');
    const merged = allOf.reduce<unknown>((all, one) => this.#merged(all, one, path), rest);
    return this.convert(merged, path, depth + 1);
  }

  /** Both at once. What `one` refers to is looked up only if there is something to put it together with. */
  #merged(all: unknown, one: unknown, path: string): unknown {
    if (one === true || all === false) return all;
    if (one === false || all === true) return one;
    if (!isSchema(all) || !isSchema(one)) throw new InvalidSchemaError('schema', path, 'is not an object');
    return mergeSchemas(all, one, path, (reference) => this.#find(reference, path));
  }

  #reference(schema: Schema, path: string, depth: number): string {
    const { $ref, ...rest } = schema;
    const reference = String($ref);
    const merged = mergeSchemas(rest, { $ref }, path, (other) => this.#find(other, path));
    if (merged.$ref !== reference) return this.convert(merged, path, depth + 1);
    let name = this.#references.get(reference);
    if (!name) {
      const target = this.#find(reference, path);
      name = this.#rules.reserve();
      this.#references.set(reference, name);
      this.#rules.define(name, this.convert(target, reference, depth + 1));
    }
    return name;
  }

  /** What a reference within the schema points at. */
  #find(reference: unknown, path: string): unknown {
    if (typeof reference !== 'string' || !(reference === '#' || reference.startsWith('#/')))
      throw new InvalidSchemaError('$ref', path, 'leads out of the schema');
    let at: unknown = this.#root;
    for (const part of reference.split('/').slice(1)) {
      const key = decodePointer(part);
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key))
        throw new InvalidSchemaError('$ref', path, 'leads nowhere');
      at = (at as Record<string, unknown>)[key];
    }
    return at;
  }

  #count(schema: Schema, keyword: string, path: string): number | undefined {
    const value = schema[keyword];
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
      throw new InvalidSchemaError(keyword, path, 'is not a count');
    if (value > maxCount) {
      if (keyword.startsWith('min')) throw new InvalidSchemaError(keyword, path, `is above ${maxCount}`);
      return maxCount;
    }
    return value;
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isOfType(value: unknown, type: Type): boolean {
  if (value === null) return type === 'null';
  if (Array.isArray(value)) return type === 'array';
  if (type === 'integer') return Number.isInteger(value);
  return typeof value === type;
}

function decodePointer(part: string): string {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return part;
  }
}
