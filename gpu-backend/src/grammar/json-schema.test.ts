import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { Grammar } from './automaton.ts';
import { InvalidSchemaError } from './errors.ts';
import { jsonObjectGrammar, jsonSchemaGrammar } from './json-schema.ts';
import { allows } from './testing/allows.ts';
import { refusals, schemas } from './testing/schemas.ts';
import { randomFrom, writeText } from './testing/write.ts';

const ajv = new Ajv2020({ strict: false, allErrors: true });
(addFormats as unknown as (to: Ajv2020) => void)(ajv);

describe('a grammar made of a JSON schema', () => {
  it.each(Object.entries(schemas))('%s: writes only what is valid', (_, schema) => {
    const grammar = new Grammar(jsonSchemaGrammar(schema));
    const validate = ajv.compile(schema as object);
    const texts = new Set<string>();
    for (let seed = 0; seed < 150; seed++) {
      const text = writeText(grammar, randomFrom(seed));
      texts.add(text);
      const value: unknown = JSON.parse(text);
      expect(validate(value), `${text}: ${ajv.errorsText(validate.errors)}`).toBe(true);
    }
    expect(texts.size).toBeGreaterThan(0);
  });

  it.each([
    ['all required', '{"name":"李白","age":61,"ok":true}'],
    ['all required', '{ "name" : "x\\u00e9\\n", "age" : -3,\n  "ok" : false }'],
    ['optional properties', '{"c":1}'],
    ['optional properties', '{"a":null,"b":true,"c":1,"d":"x"}'],
    ['optional properties', '{"b":true,"c":1}'],
    ['only optional properties', '{}'],
    ['only optional properties', '{"b":null}'],
    ['integer from -37 to 1205', '-37'],
    ['integer from -37 to 1205', '0'],
    ['integer from -37 to 1205', '1205'],
    ['number from -1.25 to 3.5', '-1.25'],
    ['number from -1.25 to 3.5', '-0.71'],
    ['number from -1.25 to 3.5', '3.50'],
    ['number from 0 to 1', '0.333'],
    ['number from 0 to 1', '1'],
    ['number within tenths', '0.2'],
    ['number within tenths', '0.7999'],
    ['recursive', '{"value":1,"next":{"value":2,"next":null}}'],
    ['pattern', '"AB123-x"'],
    ['string of bounded length', '"你好😀"'],
    ['any value', '[1.5e-3, {"a": [null, "\\ud800"]}]'.replace('\\ud800', '\\u4f60')],
  ])('%s: may be %s', (name, text) => {
    expect(allows(new Grammar(jsonSchemaGrammar(schemas[name])), text)).toBe(true);
  });

  it('all integers of a range, and no other', () => {
    for (const [minimum, maximum] of [
      [0, 0],
      [7, 113],
      [-120, -9],
      [-12, 101],
      [99, 1000],
    ] as const) {
      const grammar = new Grammar(jsonSchemaGrammar({ type: 'integer', minimum, maximum }));
      for (let value = -1100; value <= 1100; value++) {
        expect(allows(grammar, String(value)), String(value)).toBe(value >= minimum && value <= maximum);
      }
    }
  });

  it.each(refusals)('%j is refused, and %s named', (schema, keyword) => {
    let thrown: unknown;
    try {
      jsonSchemaGrammar(schema);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(InvalidSchemaError);
    expect(thrown).toMatchObject({ keyword, message: expect.stringContaining(keyword) });
  });

  it('has properties and keywords by names that every object has', () => {
    // As JSON, where `__proto__` is a name like any other.
    const schema: unknown = JSON.parse(`{
      "constructor": "Ferrari",
      "allOf": [
        { "properties": { "constructor": { "type": "integer" } }, "required": ["constructor"] },
        {
          "properties": { "toString": { "type": "boolean" }, "__proto__": { "type": "null" } },
          "required": ["toString", "__proto__"]
        }
      ]
    }`);
    const grammar = new Grammar(jsonSchemaGrammar(schema));
    expect(allows(grammar, '{"constructor":1,"toString":true,"__proto__":null}')).toBe(true);
    expect(allows(grammar, '{"constructor":"1","toString":true,"__proto__":null}')).toBe(false);
    expect(allows(grammar, '{"constructor":1,"toString":true,"__proto__":1}')).toBe(false);
    expect(allows(new Grammar(jsonSchemaGrammar({ valueOf: 1, minimum: 3 })), '4')).toBe(true);
  });

  it('a schema that begins with itself has no grammar', () => {
    const loops = [
      { $ref: '#' },
      { anyOf: [{ $ref: '#' }, { type: 'null' }] },
      { allOf: [{ $ref: '#' }, { type: 'null' }] },
    ];
    for (const schema of loops) {
      expect(() => new Grammar(jsonSchemaGrammar(schema))).toThrow(
        /begins with itself|leads to itself|too many/,
      );
    }
  });

  it('hostile schemas are refused, or are grammars soon enough', () => {
    const nested = (depth: number, wrap: (inner: unknown) => unknown) => {
      let schema: unknown = { type: 'null' };
      for (let i = 0; i < depth; i++) schema = wrap(schema);
      return schema;
    };
    const many = Object.fromEntries(
      Array.from({ length: 5000 }, (_, i) => [`p${i}`, { type: 'integer', minimum: i }]),
    );
    const hostile = [
      nested(10_000, (inner) => ({ type: 'array', items: inner })),
      nested(40, (inner) => ({ anyOf: [inner, inner] })),
      nested(40, (inner) => ({ properties: { a: inner, b: inner } })),
      nested(47, (inner) => ({ type: 'array', items: inner, minItems: 9999, maxItems: 10_000 })),
      { const: nested(10_000, (inner) => [inner]) },
      { allOf: [{ enum: [nested(10_000, (inner) => [inner])] }, { enum: [1] }] },
      { properties: many },
      { properties: many, required: Object.keys(many) },
      { enum: Array.from({ length: 9_000 }, (_, i) => `${'x'.repeat(50)}${i}`) },
      { pattern: '(a*)*b{2000}' },
      { pattern: '((((a{1,2000}){1,2000}){1,2000}){1,2000})' },
    ];
    for (const schema of hostile) {
      try {
        const grammar = new Grammar(jsonSchemaGrammar(schema));
        for (const text of ['[[[[[[[[', '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '{"a":{"a":']) {
          let state: Grammar['start'] | undefined = grammar.start;
          for (const character of text) state = state && grammar.step(state, character.charCodeAt(0));
        }
      } catch (error) {
        expect((error as Error).name).toMatch(
          /InvalidSchemaError|InvalidGrammarError|GrammarTooAmbiguousError/,
        );
      }
    }
    // Seconds of CPU time, of which other work on the machine can make a minute: 43 s were seen beside a load of 22.
  }, 120_000);
});

describe('any object', () => {
  it('is JSON', () => {
    const grammar = new Grammar(jsonObjectGrammar());
    for (let seed = 0; seed < 100; seed++) {
      expect(JSON.parse(writeText(grammar, randomFrom(seed)))).toBeTypeOf('object');
    }
    expect(allows(grammar, '{"a": [1, {"b": "c"}]}')).toBe(true);
    expect(allows(grammar, '[]')).toBe(false);
  });
});
