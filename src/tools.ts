/**
 * Functions that the model may call. It learns of them in the system turn, after what the client wrote there:
 *
 *     # 工具 Tools
 *     可以调用以下函数，每行一个 JSON。 These functions can be called, one a line as JSON:
 *     <tools>
 *     {"name":"weather","description":"…","parameters":{…}}
 *     </tools>
 *     调用函数时写： To call one, write:
 *     <tool_call>
 *     {"name":"…","arguments":{…}}
 *     </tool_call>
 *
 * The node holds the answer to that form with a grammar made of the same schemas, and tells the calls as OpenAI does.
 * So every function is strict, and `tool_choice` changes the grammar alone: the prompt stays the same, and with it
 * the prefix that nodes keep.
 */
import * as z from 'zod/mini';
import type { Format } from './answer-format.ts';
import { refuse } from './errors.ts';
import { idle } from './idle-fields.ts';
import { jsonObject } from './json-object.ts';
import { list } from './list.ts';

export const functionName = z
  .string()
  .check(z.regex(/^[\w-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -.'));

const tool = z.strictObject({
  type: z.literal('function', {
    error: (issue) =>
      issue.input === 'custom' ? 'custom tools are not supported: use functions.' : undefined,
  }),
  function: z.strictObject({
    name: functionName,
    description: z.nullish(z.string()),
    parameters: z.nullish(jsonObject),
    strict: z.nullish(z.boolean()),
  }),
});

const named = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({ name: functionName }),
});

const toolChoice = z.union(
  [
    z.literal(['none', 'auto', 'required']),
    named,
    z.strictObject({
      type: z.literal('allowed_tools'),
      allowed_tools: z.strictObject({
        mode: z.literal(['auto', 'required']),
        tools: list(named, { min: 1, max: 128 }),
      }),
    }),
  ],
  'must be "none", "auto", "required", {"type": "function", "function": {"name": …}} or allowed_tools of functions.',
);

export const toolFields = {
  tools: z.optional(list(tool, { max: 128 })),
  tool_choice: z.optional(toolChoice),
  parallel_tool_calls: z._default(z.boolean(), true),
  functions: idle(
    (value) => Array.isArray(value) && value.length === 0,
    'is not supported any more: use tools.',
  ),
  function_call: idle((value) => value === 'none', 'is not supported any more: use tool_choice.'),
};

const fieldsSchema = z.object(toolFields);
type Fields = z.output<typeof fieldsSchema>;
type Tool = NonNullable<Fields['tools']>[number];

/** What tools ask of the answer, and what the system turn says of them; undefined without tools. */
export interface Tools {
  format: Format & { type: 'tools' };
  section: string;
}

/** Throws an EdgeError when the choice names what is not there. */
export function chosenTools({ tools = [], tool_choice, parallel_tool_calls }: Fields): Tools | undefined {
  const names = new Set<string>();
  for (const [at, { function: one }] of tools.entries()) {
    if (names.has(one.name)) refuse(`tools.${at}.function.name`, 'two functions have this name.');
    names.add(one.name);
  }
  const known = (name: string, param: string) => {
    if (!names.has(name)) refuse(param, 'is not the name of a function in tools.');
    return name;
  };
  if (tools.length === 0 && tool_choice !== undefined && tool_choice !== 'none' && tool_choice !== 'auto') {
    refuse('tool_choice', 'there are no tools to choose from.');
  }
  if (tools.length === 0 || tool_choice === 'none') return undefined;

  const format = (choice: Tools['format']['choice'], allowed = names): Tools => ({
    format: {
      type: 'tools',
      tools: tools
        .filter((one) => allowed.has(one.function.name))
        .map(({ function: { name, parameters } }) => ({ name, parameters: parameters ?? noParameters })),
      choice,
      parallel: parallel_tool_calls,
    },
    section: section(tools),
  });
  if (tool_choice === undefined || typeof tool_choice === 'string') return format(tool_choice ?? 'auto');
  if (tool_choice.type === 'function') {
    return format({ name: known(tool_choice.function.name, 'tool_choice.function.name') });
  }
  const { mode, tools: some } = tool_choice.allowed_tools;
  const allowed = some.map((one, at) =>
    known(one.function.name, `tool_choice.allowed_tools.tools.${at}.function.name`),
  );
  return format(mode, new Set(allowed));
}

const noParameters = { type: 'object', properties: {}, additionalProperties: false };

function section(tools: readonly Tool[]): string {
  const lines = tools.map(({ function: { name, description, parameters } }) =>
    JSON.stringify({
      name,
      ...(description && { description }),
      parameters: parameters ?? noParameters,
    }),
  );
  return `# 工具 Tools
可以调用以下函数，每行一个 JSON。 These functions can be called, one a line as JSON:
<tools>
${lines.join('\n')}
</tools>
调用函数时写： To call one, write:
<tool_call>
{"name":"…","arguments":{…}}
</tool_call>`;
}
