/**
 * A regular expression as a JSON schema's `pattern` has it → GBNF for the inside of a JSON string. What needs a look
 * ahead or back (assertions, back references, word boundaries) is refused.
 */
import { literal } from './rules.ts';

/** Why a pattern cannot be honoured; the schema's part of the story is told by who catches it. */
export class PatternError extends Error {}

type Ranges = [from: number, to: number][];

const last = 0x10ffff;
const digit: Ranges = [[0x30, 0x39]];
const word: Ranges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const space: Ranges = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
];
const lineEnds: Ranges = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
const classes: Record<string, Ranges> = {
  d: digit,
  D: invert(digit),
  w: word,
  W: invert(word),
  s: space,
  // Spaces beyond these exist; a text without them is all the same without white space.
  S: invert([
    ...space,
    [0x1680, 0x1680],
    [0x2000, 0x200a],
    [0x2028, 0x2029],
    [0x202f, 0x202f],
    [0x205f, 0x205f],
    [0x3000, 0x3000],
    [0xfeff, 0xfeff],
  ]),
};
const controls: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11, '0': 0 };
/** How JSON writes what may not stand in a string as it is. */
const escaped = new Map([
  [0x22, '\\"'],
  [0x5c, '\\\\'],
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
]);
const maxNesting = 32;
const maxCount = 2_000;

/** @throws PatternError */
export function patternRule(pattern: string): string {
  return new PatternReader(pattern).read();
}

class PatternReader {
  readonly #pattern: string[];
  #at = 0;
  #nesting = 0;

  constructor(pattern: string) {
    this.#pattern = [...pattern];
  }

  read(): string {
    const options = this.#alternatives(true);
    if (this.#at < this.#pattern.length) throw new PatternError('has a ")" too many');
    return options;
  }

  #alternatives(outer: boolean): string {
    const options = [this.#alternative(outer)];
    while (this.#peek() === '|') {
      this.#at++;
      options.push(this.#alternative(outer));
    }
    return options.length === 1 ? (options[0] as string) : `(${options.join(' | ')})`;
  }

  #alternative(outer: boolean): string {
    const parts: string[] = [];
    let begins = false;
    let ends = false;
    for (let next = this.#peek(); next !== '' && next !== '|' && next !== ')'; next = this.#peek()) {
      if (ends) throw new PatternError('goes on after "$"');
      if (next === '^' || next === '$') {
        const isBegin = next === '^';
        if (!outer || (isBegin && (parts.length > 0 || begins)))
          throw new PatternError(`has "${next}" in the middle`);
        this.#at++;
        if (isBegin) begins = true;
        else ends = true;
      } else {
        parts.push(this.#repetition(this.#atom()));
      }
    }
    if (outer) {
      const anything = `${set(invert([]))}*`;
      if (!begins) parts.unshift(anything);
      if (!ends) parts.push(anything);
    }
    return parts.length === 0 ? '""' : parts.join(' ');
  }

  #atom(): string {
    const character = this.#take();
    if (character === '.') return set(invert(lineEnds));
    if (character === '[') return this.#class();
    if (character === '(') return this.#group();
    if (character === '\\') {
      const meant = this.#escape(false);
      return typeof meant === 'number' ? set([[meant, meant]]) : set(meant);
    }
    if ('*+?{}]'.includes(character)) throw new PatternError(`has a "${character}" out of place`);
    const code = character.codePointAt(0) as number;
    return set([[code, code]]);
  }

  #group(): string {
    if (++this.#nesting > maxNesting) throw new PatternError('has too many groups in each other');
    if (this.#peek() === '?') {
      this.#at++;
      const kind = this.#take();
      if (kind === '<' && /[\w$]/.test(this.#peek())) while (this.#take() !== '>');
      else if (kind !== ':') throw new PatternError('has an assertion');
    }
    const inside = this.#alternatives(false);
    if (this.#take() !== ')') throw new PatternError('lacks a ")"');
    this.#nesting--;
    return `(${inside})`;
  }

  #repetition(atom: string): string {
    const rest = this.#pattern.slice(this.#at, this.#at + 16).join('');
    const match = /^(?:([*+?])|\{(\d+)(,(\d*))?\})\??/.exec(rest);
    if (!match) {
      if (rest.startsWith('{')) throw new PatternError('has a "{" out of place');
      return atom;
    }
    this.#at += match[0].length;
    if (match[1]) return `${atom}${match[1]}`;
    const least = Number(match[2]);
    const most = match[3] === undefined ? least : match[4] ? Number(match[4]) : undefined;
    if (least > maxCount || (most ?? 0) > maxCount)
      throw new PatternError('has a repetition that is too long');
    if (most !== undefined && most < least) throw new PatternError('has a repetition out of order');
    return `${atom}{${least},${most ?? ''}}`;
  }

  #class(): string {
    const negated = this.#peek() === '^';
    if (negated) this.#at++;
    const ranges: Ranges = [];
    while (this.#peek() !== ']') {
      const from = this.#member();
      if (typeof from !== 'number') {
        ranges.push(...from);
      } else if (this.#peek() === '-' && this.#pattern[this.#at + 1] !== ']') {
        this.#at++;
        const to = this.#member();
        if (typeof to !== 'number' || to < from) throw new PatternError('has a range out of order');
        ranges.push([from, to]);
      } else {
        ranges.push([from, from]);
      }
    }
    this.#at++;
    return set(negated ? invert(ranges) : ranges);
  }

  #member(): number | Ranges {
    const character = this.#take();
    return character === '\\' ? this.#escape(true) : (character.codePointAt(0) as number);
  }

  #escape(inClass: boolean): number | Ranges {
    const letter = this.#take();
    const known = classes[letter];
    if (known) return known;
    const control = controls[letter];
    if (control !== undefined) return control;
    if (letter === 'b' && inClass) return 8;
    if (letter === 'x') return this.#hex(2);
    if (letter === 'u') {
      if (this.#peek() !== '{') return this.#hex(4);
      const end = this.#pattern.indexOf('}', this.#at);
      const hex = this.#pattern.slice(this.#at + 1, end).join('');
      this.#at = end + 1;
      if (end < 0 || !/^[0-9a-fA-F]{1,6}$/.test(hex)) throw new PatternError('has an escape that is none');
      return Number.parseInt(hex, 16);
    }
    if (/[a-zA-Z0-9]/.test(letter)) throw new PatternError(`has "\\${letter}"`);
    return letter.codePointAt(0) as number;
  }

  #hex(digits: number): number {
    const hex = this.#pattern.slice(this.#at, this.#at + digits).join('');
    if (hex.length < digits || !/^[0-9a-fA-F]+$/.test(hex))
      throw new PatternError('has an escape that is none');
    this.#at += digits;
    return Number.parseInt(hex, 16);
  }

  #peek(): string {
    return this.#pattern[this.#at] ?? '';
  }

  #take(): string {
    const character = this.#pattern[this.#at++];
    if (character === undefined) throw new PatternError('ends too early');
    return character;
  }
}

/** All that is not in `ranges`. */
function invert(ranges: Ranges): Ranges {
  const rest: Ranges = [];
  let from = 0;
  for (const [first, final] of [...ranges].sort((a, b) => a[0] - b[0])) {
    if (first > from) rest.push([from, first - 1]);
    from = Math.max(from, final + 1);
  }
  if (from <= last) rest.push([from, last]);
  return rest;
}

/** One character of these as it stands in a JSON string: some as they are, some behind a backslash. */
function set(ranges: Ranges): string {
  const options: string[] = [];
  const within = (code: number) => ranges.some(([from, to]) => code >= from && code <= to);
  for (const [code, text] of escaped) if (within(code)) options.push(literal(text));
  const plain = intersect(ranges, [
    [0x20, 0x21],
    [0x23, 0x5b],
    [0x5d, 0x7e],
    [0x80, 0xd7ff],
    [0xe000, last],
  ]);
  if (plain.length > 0)
    options.unshift(`[${plain.map(([from, to]) => `${code(from)}-${code(to)}`).join('')}]`);
  if (options.length === 0) throw new PatternError('has a class that nothing is in');
  return options.length === 1 ? (options[0] as string) : `(${options.join(' | ')})`;
}

function intersect(a: Ranges, b: Ranges): Ranges {
  return a.flatMap(([from, to]) =>
    b.flatMap(([first, final]): Ranges => {
      const [low, high] = [Math.max(from, first), Math.min(to, final)];
      return low <= high ? [[low, high]] : [];
    }),
  );
}

const code = (value: number) => `\\U${value.toString(16).padStart(8, '0')}`;
