/**
 * Reads GBNF, the grammar notation of llama.cpp (grammars/README.md there), all but its token references. Nothing
 * of what comes in can cost more than its length: nesting is bounded, and a repetition is kept as a count.
 */
import { InvalidGrammarError } from './errors.ts';
import { leftRecursive, type Node, type Rule, sequence } from './nodes.ts';

const maxNesting = 64;
const maxRepetition = 100_000;

const escapes: Record<string, string> = { t: '\t', r: '\r', n: '\n' };
const hexDigits: Record<string, number> = { x: 2, u: 4, U: 8 };

/** @returns the rule `root` @throws InvalidGrammarError */
export function parseGbnf(source: string): Rule {
  return new Reader(source).read();
}

class Reader {
  readonly #source: string;
  readonly #rules = new Map<string, Rule>();
  #at = 0;
  #nesting = 0;

  constructor(source: string) {
    this.#source = source;
  }

  read(): Rule {
    this.#skip(true);
    while (this.#at < this.#source.length) this.#definition();
    const rules = [...this.#rules.values()];
    for (const { name, body } of rules) if (!body) this.#fail(`the rule "${name}" is not defined`);
    const root = this.#rules.get('root');
    if (!root) this.#fail('there is no rule "root"');
    const recursive = leftRecursive(rules);
    if (recursive) this.#fail(`the rule "${recursive.name}" begins with itself`);
    return root;
  }

  #definition(): void {
    const rule = this.#rule(this.#name());
    this.#skip(false);
    if (!this.#source.startsWith('::=', this.#at)) this.#failHere('expected "::="');
    this.#at += 3;
    this.#skip(true);
    if (rule.body) this.#failHere(`the rule "${rule.name}" is defined twice`);
    rule.body = this.#choice(false);
    if (this.#at < this.#source.length && !/[\r\n]/.test(this.#peek())) this.#failHere('expected a new line');
    this.#skip(true);
  }

  #choice(nested: boolean): Node {
    const options = [this.#sequence(nested)];
    while (this.#peek() === '|') {
      this.#at++;
      this.#skip(true);
      options.push(this.#sequence(nested));
    }
    return options.length === 1 ? (options[0] as Node) : { kind: 'choice', options };
  }

  #sequence(nested: boolean): Node {
    const parts: Node[] = [];
    for (;;) {
      const item = this.#item();
      if (!item) return sequence(parts);
      this.#skip(nested);
      parts.push(this.#repetitions(item, nested));
    }
  }

  #item(): Node | undefined {
    const character = this.#peek();
    if (character === '"') return this.#literal();
    if (character === '[') return this.#class();
    if (character === '(') return this.#group();
    if (character === '.') {
      this.#at++;
      return { kind: 'characters', ranges: [], negated: true };
    }
    if (/[a-zA-Z0-9-]/.test(character)) return this.#rule(this.#name());
    if (character === '<' || character === '!') this.#failHere('token references are not supported');
    return undefined;
  }

  #literal(): Node {
    this.#at++;
    const parts: Node[] = [];
    while (this.#peek() !== '"') {
      const character = this.#character();
      parts.push({ kind: 'characters', ranges: [character, character], negated: false });
    }
    this.#at++;
    return sequence(parts);
  }

  #class(): Node {
    this.#at++;
    const negated = this.#peek() === '^';
    if (negated) this.#at++;
    const ranges: number[] = [];
    while (this.#peek() !== ']') {
      const from = this.#character();
      let to = from;
      if (this.#peek() === '-' && this.#source[this.#at + 1] !== ']') {
        this.#at++;
        to = this.#character();
      }
      if (to < from) this.#failHere('a range ends before it begins');
      ranges.push(from, to);
    }
    this.#at++;
    return { kind: 'characters', ranges, negated };
  }

  #group(): Node {
    if (++this.#nesting > maxNesting) this.#failHere(`more than ${maxNesting} groups in each other`);
    this.#at++;
    this.#skip(true);
    const node = this.#choice(true);
    if (this.#peek() !== ')') this.#failHere('expected ")"');
    this.#at++;
    this.#nesting--;
    return node;
  }

  #repetitions(item: Node, nested: boolean): Node {
    let node = item;
    for (let turns = 0; ; turns++) {
      const bounds = this.#bounds();
      if (!bounds) return node;
      if (turns >= maxNesting) this.#failHere('too many repetitions of one another');
      this.#skip(nested);
      const [least, most] = bounds;
      node = { kind: 'repeat', body: node, least, most, after: undefined };
    }
  }

  #bounds(): [number, number] | undefined {
    const sign = this.#peek();
    const known = { '*': [0, Infinity], '+': [1, Infinity], '?': [0, 1] }[sign];
    if (known) {
      this.#at++;
      return known as [number, number];
    }
    if (sign !== '{') return undefined;
    const match = /^\{\s*(\d{1,9})\s*(,\s*(\d{1,9})?\s*)?\}/.exec(
      this.#source.slice(this.#at, this.#at + 64),
    );
    if (!match) this.#failHere('expected {n}, {n,} or {n,m}');
    this.#at += match[0].length;
    const least = Number(match[1]);
    const most = match[3] === undefined ? (match[2] === undefined ? least : Infinity) : Number(match[3]);
    if (most < least) this.#failHere('a repetition has more at least than at most');
    if (least > maxRepetition || (most !== Infinity && most > maxRepetition))
      this.#failHere(`a repetition is of more than ${maxRepetition}`);
    return [least, most];
  }

  /** One character of a literal or a class, as a code point. */
  #character(): number {
    const code = this.#source.codePointAt(this.#at);
    if (code === undefined) return this.#failHere('unexpected end');
    if (code !== 0x5c) {
      this.#at += code > 0xffff ? 2 : 1;
      return code;
    }
    const letter = this.#source[this.#at + 1] ?? '';
    const digits = hexDigits[letter];
    if (digits) {
      const hex = this.#source.slice(this.#at + 2, this.#at + 2 + digits);
      if (!new RegExp(`^[0-9a-fA-F]{${digits}}$`).test(hex)) this.#failHere(`expected ${digits} hex digits`);
      this.#at += 2 + digits;
      return Number.parseInt(hex, 16);
    }
    const meant = escapes[letter] ?? (/["\\[\]]/.test(letter) ? letter : this.#failHere('unknown escape'));
    this.#at += 2;
    return meant.charCodeAt(0);
  }

  #rule(name: string): Rule {
    let rule = this.#rules.get(name);
    if (!rule) {
      rule = { kind: 'rule', name, body: undefined };
      this.#rules.set(name, rule);
    }
    return rule;
  }

  #name(): string {
    const from = this.#at;
    while (/[a-zA-Z0-9-]/.test(this.#peek())) this.#at++;
    if (this.#at === from) this.#failHere('expected a name');
    return this.#source.slice(from, this.#at);
  }

  /** Spaces and comments, and where a rule may go on there, also line ends. */
  #skip(lines: boolean): void {
    for (;;) {
      const character = this.#peek();
      if (character === '#') {
        while (this.#at < this.#source.length && !/[\r\n]/.test(this.#peek())) this.#at++;
      } else if (character === ' ' || character === '\t' || (lines && /[\r\n]/.test(character))) {
        this.#at++;
      } else {
        return;
      }
    }
  }

  #peek(): string {
    return this.#source[this.#at] ?? '';
  }

  #failHere(reason: string): never {
    const line = this.#source.slice(0, this.#at).split('\n').length;
    return this.#fail(`line ${line}: ${reason}`);
  }

  #fail(reason: string): never {
    throw new InvalidGrammarError(reason);
  }
}
