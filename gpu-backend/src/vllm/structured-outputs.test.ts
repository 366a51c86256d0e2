import { describe, expect, it } from 'vitest';
import { Grammar } from '../grammar/automaton.ts';
import { jsonObjectGrammar, jsonSchemaGrammar } from '../grammar/json-schema.ts';
import { randomFrom, writeText } from '../grammar/testing/write.ts';
import { toolsGrammar } from '../grammar/tools.ts';
import { structuredOutputs } from './structured-outputs.ts';

const schema = {
  type: 'object',
  properties: {
    age: { type: 'integer', minimum: 0, maximum: 120 },
    name: { type: 'string', pattern: '^[a-z]+-[0-9]{2}$' },
    day: { type: 'string', format: 'date' },
    word: { enum: ['x', '"y"', '你好', 'a\\b'] },
    list: { type: 'array', items: { type: 'number' }, maxItems: 3 },
  },
  required: ['age', 'word'],
  additionalProperties: false,
};
const tools = [
  { name: 'weather', parameters: schema },
  { name: 'time', parameters: { type: 'object', properties: {} } },
];
const grammars: Record<string, string> = {
  object: jsonObjectGrammar(),
  schema: jsonSchemaGrammar(schema),
  tools: toolsGrammar({ type: 'tools', tools, choice: 'required', parallel: true }).gbnf,
  'hand-written': 'root ::= item-1* | "a\\"]\\n" .\nitem-1 ::= [^a-c\\]\\x22] [-x] ("y" | "")? # all\n',
};

/** Whether a text is whole in a grammar. */
function accepts(grammar: Grammar, text: string): boolean {
  let state = grammar.start;
  for (const character of text) {
    const next = grammar.step(state, character.codePointAt(0)!);
    if (!next) return false;
    state = next;
  }
  return state.accepts;
}

describe.each(Object.entries(grammars))('%s', (_, gbnf) => {
  // GBNF reads what is written for xgrammar as well, which makes the two comparable here.
  const written = (structuredOutputs({ gbnf }) as { grammar: string }).grammar;

  it('stands for the same texts', () => {
    const [ours, theirs] = [new Grammar(gbnf), new Grammar(written)];
    const random = randomFrom(42);
    for (let i = 0; i < 100; i++) {
      const [text, other] = [writeText(ours, random), writeText(theirs, random)];
      expect(accepts(theirs, text), text).toBe(true);
      expect(accepts(ours, other), other).toBe(true);
      expect(accepts(theirs, `${text}}`)).toBe(accepts(ours, `${text}}`));
      expect(accepts(theirs, text.slice(0, -1))).toBe(accepts(ours, text.slice(0, -1)));
    }
  });

  it('is in the notation that xgrammar 0.2.8 reads: rules by number, no empty alternative, classes with members', () => {
    for (const line of written.trim().split('\n')) expect(line).toMatch(/^(root|r\d+) ::= \S/);
    expect(written).not.toMatch(/\|\s*[|)\n]|\(\s*\||::=\s*\||\[\]|\[\^\]/);
    expect(written.replaceAll(/\\U[0-9a-f]{8}/g, '')).not.toContain('\\');
  });
});

it('a grammar that waits for its trigger is a structural tag', () => {
  const { structural_tag } = structuredOutputs(
    toolsGrammar({ type: 'tools', tools, choice: 'auto', parallel: false }),
  ) as { structural_tag: string };
  const { format } = JSON.parse(structural_tag);
  expect(format).toMatchObject({
    ...{ type: 'triggered_tags', triggers: ['<tool_call>'], at_least_one: false, stop_after_first: true },
    tags: [{ begin: '<tool_call>', end: '', content: { type: 'grammar' } }],
  });
  expect(() => new Grammar(format.tags[0].content.grammar)).not.toThrow();
});
