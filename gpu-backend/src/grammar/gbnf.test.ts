import { describe, expect, it } from 'vitest';
import { Grammar } from './automaton.ts';
import { GrammarTooAmbiguousError, InvalidGrammarError } from './errors.ts';
import { parseGbnf } from './gbnf.ts';
import { allows } from './testing/allows.ts';

describe('GBNF', () => {
  it.each([
    ['root ::= "a" | "b" # comment\n', ['a', 'b'], ['', 'c', 'ab']],
    ['root ::= x{2,3}\nx ::= [a-c] |\n  "z"', ['ab', 'zza'], ['a', 'abca', 'd']],
    ['root ::= ("x" y)*\ny ::= [^x\\n]? # c\r\n', ['', 'xx', 'x你x'], ['x\n', 'y']],
    ['root ::= "\\x41\\u4f60\\U0001F600\\"\\\\\\t" .', ['A你😀"\\\t!'], ['A你😀"\\\t']],
    ['root ::= "a"{0} "b"{2} "c"{1,}', ['bbc', 'bbccc'], ['abbc', 'bb', 'bc']],
    ['root ::= (("a"*)*)*', ['', 'aaa'], ['b']],
  ])('%j', (gbnf, right, wrong) => {
    const grammar = new Grammar(gbnf);
    for (const text of right) expect(allows(grammar, text), text).toBe(true);
    for (const text of wrong) expect(allows(grammar, text), text).toBe(false);
  });

  it.each([
    ['', 'root'],
    ['roots ::= "a"', 'root'],
    ['root ::= missing', 'missing'],
    ['root ::= "a', 'end'],
    ['root ::= [a', 'end'],
    ['root ::= ("a"', '")"'],
    ['root ::= "a" )', 'new line'],
    ['root ::= root "a"', 'begins with itself'],
    ['root ::= a\na ::= b? root', 'missing|begins|defined'],
    ['root ::= "a"{3,2}', 'more at least'],
    ['root ::= "a"{999999999}', 'more than'],
    ['root ::= "\\q"', 'escape'],
    ['root ::= <[5]>', 'token'],
    ['root = "a"', '::='],
    ['root ::= "a"\nroot ::= "b"', 'twice'],
    [`root ::= ${'('.repeat(30_000)}`, 'groups'],
    [`root ::= "a"${'*'.repeat(30_000)}`, 'repetitions'],
    ['root ::= *', 'new line'],
    ['root ::= [z-a]', 'range'],
  ])('%.40j is refused: %s', (gbnf, reason) => {
    expect(() => new Grammar(gbnf)).toThrow(InvalidGrammarError);
    expect(() => new Grammar(gbnf)).toThrow(new RegExp(reason.replace('")"', '"\\)"')));
  });

  /** CPU time of this process, ms: everybody's next token waits for such work. */
  function cpuMs(work: () => void): number {
    const before = process.cpuUsage();
    work();
    return process.cpuUsage(before).user / 1000;
  }

  it('takes rules that hang on each other from the last to the first in one go', () => {
    const chain = Array.from({ length: 8_000 }, (_, i) => `r${i} ::= r${i + 1}`);
    const source = `root ::= r0 "a"\n${chain.join('\n')}\nr8000 ::= ""\n`;
    // 60 ms; 2 s when all rules were gone through for each.
    expect(cpuMs(() => void parseGbnf(source))).toBeLessThan(600);
    expect(() => parseGbnf(source.replace(/""\n$/, 'root\n'))).toThrow('begins with itself');
    expect(() => parseGbnf('root ::= a root\na ::= b c\nb ::= "b"?\nc ::= b | "c"')).toThrow(
      'begins with itself',
    );
    expect(() => parseGbnf('root ::= a root?\na ::= b c\nb ::= "b"?\nc ::= b "c"')).not.toThrow();
  });

  it('finds one of thousands of ways on without a look at all', () => {
    const characters = Array.from({ length: 11_000 }, (_, i) => String.fromCharCode(0x4e00 + i));
    const grammar = new Grammar(`root ::= ${characters.map((one) => `[${one}]`).join('|')}`);
    let found = 0;
    // Each new character that a vocabulary of 57,000 begins with. 130 ms; it was 3 s.
    const ms = cpuMs(() => {
      for (let code = 0x4000; code < 0x9000; code++) if (grammar.step(grammar.start, code)) found++;
    });
    expect(ms).toBeLessThan(1_000);
    expect(found).toBe(11_000);
  });

  it('follows many ways at once, whatever they wait for', () => {
    const words = Array.from({ length: 40 }, (_, i) => `"w${i}"`);
    const grammar = new Grammar(
      `root ::= ${words.join('|')} | [0-9]+ | [^a-z0-9] "!" | [xyx] "1" | "w" "39" "x"`,
    );
    for (const text of ['w0', 'w39', 'w39x', '007', '你!', 'x1', 'y1']) {
      expect(allows(grammar, text), text).toBe(true);
    }
    for (const text of ['w', 'w40', 'a!', '0!', 'z1', 'x']) expect(allows(grammar, text), text).toBe(false);
  });

  it('refuses thousands of ranges to look through for each character', () => {
    const source = `root ::= ${Array.from({ length: 2_001 }, () => '[a-b]').join('|')}`;
    expect(() => new Grammar(source)).toThrow(GrammarTooAmbiguousError);
  });
});
