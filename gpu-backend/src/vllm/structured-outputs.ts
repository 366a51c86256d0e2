/** Our grammars for vLLM's `structured_outputs`, whose xgrammar reads a notation of its own that looks like GBNF. */
import type { AnswerGrammar } from '../engine/types.ts';
import { parseGbnf } from '../grammar/gbnf.ts';
import type { Node, Rule } from '../grammar/nodes.ts';

/** Every grammar that we accept can be said there: it is written anew from what was read. */
export function structuredOutputs({ gbnf, trigger }: AnswerGrammar): object {
  const grammar = writeEbnf(parseGbnf(gbnf));
  if (trigger === undefined) return { grammar };
  return {
    structural_tag: JSON.stringify({
      type: 'structural_tag',
      format: {
        type: 'triggered_tags',
        triggers: [trigger],
        tags: [{ type: 'tag', begin: trigger, content: { type: 'grammar', grammar }, end: '' }],
        at_least_one: false,
        stop_after_first: true,
      },
    }),
  };
}

/** Rules are renamed by number: xgrammar's names have no hyphens. */
function writeEbnf(root: Rule): string {
  const names = new Map<Rule, string>([[root, 'root']]);
  const written: string[] = [];
  const nameOf = (rule: Rule) => {
    let name = names.get(rule);
    if (!name) {
      name = `r${names.size}`;
      names.set(rule, name);
      queue.push(rule);
    }
    return name;
  };
  const queue = [root];
  // Not by recursion: rules can be chained by the thousand. The queue grows while it is read.
  for (const rule of queue) written.push(`${names.get(rule)} ::= ${write(rule.body!, nameOf)}`);
  return `${written.join('\n')}\n`;
}

function write(node: Node, nameOf: (rule: Rule) => string): string {
  switch (node.kind) {
    case 'empty':
      return '""';
    case 'characters':
      return characters(node.ranges, node.negated);
    case 'rule':
      return nameOf(node);
    case 'choice':
      return `(${node.options.map((option) => write(option, nameOf)).join(' | ')})`;
    case 'repeat': {
      const { least, most } = node;
      return `(${write(node.body, nameOf)}){${least},${most === Number.POSITIVE_INFINITY ? '' : most}}`;
    }
    case 'sequence':
      return sequenceOf(node, nameOf);
    default:
      return node satisfies never;
  }
}

function sequenceOf(node: Node, nameOf: (rule: Rule) => string): string {
  const parts: string[] = [];
  let literal = '';
  const flush = () => {
    if (literal !== '') parts.push(`"${literal}"`);
    literal = '';
  };
  let at = node;
  for (; at.kind === 'sequence'; at = at.rest) add(at.first);
  add(at);
  flush();
  return parts.join(' ');

  function add(part: Node): void {
    if (part.kind === 'empty') return;
    const [from, to, ...more] = part.kind === 'characters' ? part.ranges : [];
    if (
      part.kind === 'characters' &&
      !part.negated &&
      from === to &&
      more.length === 0 &&
      from !== undefined
    ) {
      literal += spell(from);
      return;
    }
    flush();
    parts.push(write(part, nameOf));
  }
}

function characters(ranges: readonly number[], negated: boolean): string {
  if (ranges.length === 0) return negated ? '[\\U00000000-\\U0010ffff]' : '[^\\U00000000-\\U0010ffff]';
  let inside = '';
  for (let i = 0; i < ranges.length; i += 2) {
    const [from, to] = [ranges[i]!, ranges[i + 1]!];
    inside += from === to ? spell(from) : `${spell(from)}-${spell(to)}`;
  }
  return `[${negated ? '^' : ''}${inside}]`;
}

/** Letters and digits as they are, all else by number: nothing in either notation can be mistaken then. */
function spell(code: number): string {
  const character = String.fromCodePoint(code);
  return /^[a-zA-Z0-9]$/.test(character) ? character : `\\U${code.toString(16).padStart(8, '0')}`;
}
