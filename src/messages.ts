/**
 * The messages of a chat, as turns of Huozi's template, which knows three speakers and nothing else.
 *
 * Calls and their results are content of turns, in the form that the model itself writes (tools.ts):
 *
 *     助手: what it said
 *           <tool_call>
 *           {"name":"weather","arguments":{"city":"哈尔滨"}}
 *           </tool_call>
 *     用户: <tool_response>
 *           −12 °C
 *           </tool_response>
 *
 * Results stand in the order of their calls, all in one turn, because their ids stay outside of the prompt.
 */
import * as z from 'zod/mini';
import type { Speaker, Turn } from './chatml.ts';
import { refuse } from './errors.ts';
import { idle, isEmptyArray } from './idle-fields.ts';
import { knownGood, shortWay } from './known-good.ts';
import { list } from './list.ts';
import { also, orString } from './other-forms.ts';
import { functionName } from './tools.ts';
import { typeName } from './validate.ts';

const speakers: Record<string, Speaker> = {
  system: '系统',
  developer: '系统',
  系统: '系统',
  user: '用户',
  用户: '用户',
  assistant: '助手',
  助手: '助手',
};

/** More than any context holds: a message takes four tokens at least. */
const mostMessages = 8_192;
const mostParts = 1_024;

const textPart = z.strictObject({
  type: z.literal('text', {
    error: (issue) => `parts of type ${typeName(issue.input)} are not supported: this model reads text only.`,
  }),
  text: z.string(),
  prompt_cache_breakpoint: idle(
    (value) => value === null,
    'is not supported: prefixes are kept by themselves.',
  ),
});

/** A string, or text parts, which are joined with nothing between them. */
const content = z
  .pipe(
    z.pipe(
      z.transform((value: unknown) => (typeof value === 'string' ? [{ type: 'text', text: value }] : value)),
      list(textPart, { min: 1, max: mostParts, error: 'must be a string or a list of text parts.' }),
    ),
    z.transform((parts) => parts.map((part) => part.text).join('')),
  )
  .register(also, orString);
const asItIs = (value: unknown) => (typeof value === 'string' ? value : undefined);
shortWay(content, asItIs);

/** The template has no place for a participant's name, and leaving it out would change what is asked. */
const name = idle((value) => value === null, 'names of participants are not supported.');
const callId = z.string().check(z.minLength(1), z.maxLength(128));

const toolCall = z.strictObject({
  id: callId,
  type: z.literal('function'),
  function: z.strictObject({ name: functionName, arguments: z.string() }),
  // Of a stream's deltas, which some clients keep.
  index: z.optional(z.int()),
});

const said = z.strictObject({
  role: z.literal(['system', 'developer', 'user', '系统', '用户']),
  content,
  name,
});
const answered = z.strictObject({
  role: z.literal(['assistant', '助手']),
  content: shortWay(z.nullish(content), asItIs),
  name,
  tool_calls: z.nullish(list(toolCall, { max: 128 })),
  // Answers come back as history the way they were given out, with what they did not contain.
  refusal: idle((value) => value === null, 'refusals are not supported.'),
  annotations: idle((value) => value === null || isEmptyArray(value), 'annotations are not supported.'),
  audio: idle((value) => value === null, 'audio is not supported.'),
  function_call: idle((value) => value === null, 'is not supported any more: use tool_calls.'),
});

const message = z.discriminatedUnion(
  'role',
  [said, answered, z.strictObject({ role: z.literal('tool'), content, tool_call_id: callId })],
  { error: (issue) => (issue.code === 'invalid_union' ? describeRole(issue.input) : undefined) },
);
shortWay(message, (value) => {
  const { role } = (value ?? {}) as { role?: unknown };
  if (role === 'user' || role === 'system') return knownGood(said, value);
  return role === 'assistant' ? knownGood(answered, value) : undefined;
});

export const messages = list(message, { min: 1, max: mostMessages });

type Message = z.output<typeof message>;
type ToolCall = z.output<typeof toolCall>;

/** Throws an EdgeError where a result belongs to no call, or a call has no result. */
export function toTurns(messages: readonly Message[]): Turn[] {
  const turns: Turn[] = [];
  let awaited: Results | undefined;
  messages.forEach((one, at) => {
    if (one.role === 'tool') {
      awaited ??= new Results([], at);
      awaited.add(one.tool_call_id, one.content, at);
      if (!awaited.missing) {
        turns.push({ speaker: '用户', text: awaited.text, results: true });
        awaited = undefined;
      }
      return;
    }
    awaited?.refuseMissing();
    const calls = 'tool_calls' in one ? (one.tool_calls ?? []) : [];
    awaited = calls.length > 0 ? new Results(calls, at) : undefined;
    const text = [one.content, ...calls.map(callBlock)].filter(Boolean).join('\n');
    turns.push({ speaker: speakers[one.role]!, text });
  });
  (awaited as Results | undefined)?.refuseMissing();
  return turns;
}

/** Whether a conversation speaks Chinese roles, and so wants its answer in them. */
export function speaksChinese(messages: readonly Message[]): boolean {
  return messages.some(({ role }) => speakers[role] === role);
}

/** As the model wrote it: the arguments word for word. */
function callBlock({ function: { name, arguments: args } }: ToolCall): string {
  return `<tool_call>\n{"name":${JSON.stringify(name)},"arguments":${args.trim() === '' ? '{}' : args}}\n</tool_call>`;
}

/** The results of one message's calls, as they come in. */
class Results {
  readonly #texts = new Map<string, string | undefined>();
  readonly #at: number;

  constructor(calls: readonly ToolCall[], at: number) {
    this.#at = at;
    calls.forEach(({ id }, n) => {
      if (this.#texts.has(id)) refuse(`messages.${at}.tool_calls.${n}.id`, 'two calls have this id.');
      this.#texts.set(id, undefined);
    });
  }

  add(id: string, text: string, at: number): void {
    const param = `messages.${at}.tool_call_id`;
    if (!this.#texts.has(id)) refuse(param, 'is not the id of a call in the assistant message before it.');
    if (this.#texts.get(id) !== undefined) refuse(param, 'this call has a result already.');
    this.#texts.set(id, text);
  }

  get missing(): boolean {
    return [...this.#texts.values()].includes(undefined);
  }

  get text(): string {
    return [...this.#texts.values()].map((text) => `<tool_response>\n${text}\n</tool_response>`).join('\n');
  }

  refuseMissing(): never {
    const at = [...this.#texts.values()].indexOf(undefined);
    refuse(
      `messages.${this.#at}.tool_calls.${at}`,
      'has no result: a message with the role "tool" and its id must follow.',
    );
  }
}

function describeRole(input: unknown): string {
  const role = (input as { role?: unknown } | null)?.role;
  if (role === 'function') return 'the role "function" is not supported any more: use tool.';
  if (role === undefined) return 'this field is required.';
  return `${typeName(role)} is not a role; use system, developer, user, assistant or tool (系统, 用户, 助手).`;
}
