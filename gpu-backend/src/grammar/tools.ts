/**
 * Tool calls as an answer writes them, one block a call:
 *
 *     <tool_call>
 *     {"name":"…","arguments":{…}}
 *     </tool_call>
 */
import type { AnswerGrammar } from '../engine/types.ts';
import type { GenerateRequest } from '../protocol.ts';
import { schemaRule } from './json-schema.ts';
import { choice, literal, Rules } from './rules.ts';

export type ToolsFormat = Extract<NonNullable<GenerateRequest['format']>, { type: 'tools' }>;

export const callBegin = '<tool_call>';
export const callEnd = '</tool_call>';
const maxCalls = 16;

/**
 * With `auto` text comes first, or nothing else: the grammar holds from the first `<tool_call>` on.
 * @throws InvalidSchemaError
 */
export function toolsGrammar({ tools, choice: chosen, parallel }: ToolsFormat): AnswerGrammar {
  const rules = new Rules();
  const allowed = typeof chosen === 'object' ? tools.filter(({ name }) => name === chosen.name) : tools;
  const calls = allowed.map(({ name, parameters }) => {
    const args = schemaRule(rules, { type: 'object', ...parameters }, name);
    const [nameKey, value, argumentsKey] = ['"name"', JSON.stringify(name), '"arguments"'].map(literal);
    return rules.add(`"{" " "? ${nameKey} ":" " "? ${value} "," " "? ${argumentsKey} ":" " "? ${args} "}"`);
  });
  const rest = rules.add(`"\\n" ${choice(calls)} "\\n" ${literal(callEnd)}`);
  const more = parallel ? `("\\n"? ${literal(callBegin)} ${rest}){0,${maxCalls - 1}}` : '';
  const root = `${rest} ${more}`;
  if (chosen === 'auto') return { gbnf: rules.gbnf(root), trigger: callBegin };
  return { gbnf: rules.gbnf(`${literal(callBegin)} ${root}`) };
}
