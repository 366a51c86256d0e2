/** GBNF in the making: expressions become rules with names, equal ones the same rule. */

import { InvalidSchemaError } from './errors.ts';

/** What JSON is made of, each under its own name. White space is short, so that a model cannot get lost in it. */
const library: Record<string, string> = {
  ws: '| " " | "\\n" [ \\t]{0,20}',
  hex: '[0-9a-fA-F]',
  // No halves of surrogate pairs: such characters are written as they are. So each of these is one code point.
  char: '[^"\\\\\\x00-\\x1F\\x7F] | "\\\\" (["\\\\/bfnrt] | "u" ([0-9a-ce-fA-CE-F] hex{3} | [dD] [0-7] hex{2}))',
  string: '"\\"" char* "\\""',
  integer: '"-"? ("0" | [1-9] [0-9]{0,14})',
  number: 'integer ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?',
  boolean: '"true" | "false"',
  null: '"null"',
  object: '"{" ws (string ws ":" ws value ("," ws string ws ":" ws value)*)? "}"',
  array: '"[" ws (value ("," ws value)*)? "]"',
  value: '(object | array | string | number | boolean | null) ws',
};
const uses = new Map(
  Object.entries(library).map(([name, body]) => [
    name,
    Object.keys(library).filter((other) =>
      new RegExp(`(^|[^\\w"-])${other}(?![\\w"-])`).test(
        body.replaceAll(/"(\\.|[^"\\])*"|\[(\\.|[^\]\\])*\]/g, '§'),
      ),
    ),
  ]),
);

const maxRules = 15_000;

export class Rules {
  readonly #bodies = new Map<string, string>();
  readonly #names = new Map<string, string>();
  readonly #used = new Set<string>();

  /** A name for `body`. */
  add(body: string): string {
    const known = this.#names.get(body);
    if (known) return known;
    const name = this.reserve();
    this.#names.set(body, name);
    this.define(name, body);
    return name;
  }

  /** A name whose body comes later, because it speaks of itself. */
  reserve(): string {
    if (this.#bodies.size >= maxRules) throw new InvalidSchemaError('schema', '', 'makes too many rules');
    const name = `r${this.#bodies.size}`;
    this.#bodies.set(name, '');
    return name;
  }

  define(name: string, body: string): void {
    this.#bodies.set(name, body);
  }

  /** One of JSON's own. */
  json(name: string): string {
    if (!this.#used.has(name)) {
      this.#used.add(name);
      for (const other of uses.get(name) ?? []) this.json(other);
    }
    return name;
  }

  gbnf(root: string): string {
    const lines = [`root ::= ${root}`];
    for (const [name, body] of this.#bodies) lines.push(`${name} ::= ${body}`);
    for (const name of this.#used) lines.push(`${name} ::= ${library[name] as string}`);
    return `${lines.join('\n')}\n`;
  }
}

/** Text as GBNF's literal. */
export function literal(text: string): string {
  const escaped = text.replaceAll(/["\\\p{Cc}]/gu, (character) => {
    const named = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
    return named ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return `"${escaped}"`;
}

export function choice(options: readonly string[]): string {
  return options.length === 1 ? (options[0] as string) : `(${options.join(' | ')})`;
}

/** `item` from `least` to `most` times, `separator` between two. */
export function repeated(item: string, separator: string, least: number, most: number): string {
  if (most === 0) return '""';
  const bounds = (from: number, to: number) =>
    to === Number.POSITIVE_INFINITY ? `{${from},}` : `{${from},${to}}`;
  if (separator === '') return `(${item})${bounds(least, most)}`;
  const some = `${item} (${separator} ${item})${bounds(Math.max(0, least - 1), most - 1)}`;
  return least === 0 ? `(${some})?` : some;
}
