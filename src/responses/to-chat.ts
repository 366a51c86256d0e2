/**
 * A Responses request as a chat request, so that one API alone says what roles, tools, formats and settings mean.
 * Its refusals are then told in the words of the Responses API.
 */
import { EdgeError, refuse } from '../errors.ts';
import type { Item } from './items.ts';
import { passedOn, type ResponseFields } from './response-request.ts';

interface ChatMessage {
  role: string;
  content?: string;
  tool_calls?: { id: string; type: 'function'; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
}

export interface AsChat {
  body: Record<string, unknown>;
  /** Where each message, and each of its calls, came from. */
  origins: { field: string; calls: string[] }[];
}

/** @param history items of the responses before this one, oldest first */
export function toChat(fields: ResponseFields, history: readonly Item[], input: readonly Item[]): AsChat {
  const messages: ChatMessage[] = [];
  const origins: AsChat['origins'] = [];
  const say = (message: ChatMessage, field: string) => {
    messages.push(message);
    origins.push({ field, calls: [] });
  };
  if (fields.instructions) say({ role: 'system', content: fields.instructions }, 'instructions');
  const named = (items: readonly Item[], name: (at: number) => string) =>
    items.map((item, at) => ({ item, field: name(at) }));
  for (const { item, field } of [
    ...named(history, () => 'previous_response_id'),
    ...named(input, (at) => `input.${at}`),
  ]) {
    const last = messages.at(-1);
    switch (item.type) {
      case 'message': {
        const content = item.content.map((part) => part.text).join('');
        // Text after a call, in the same turn of the model.
        if (last?.tool_calls && isAssistant(item.role)) {
          last.content = [last.content, content].filter(Boolean).join('\n');
        } else {
          say({ role: item.role, content }, field);
        }
        break;
      }
      case 'function_call': {
        // A message and the calls after it, or several calls, are one turn of the model.
        if (!last || !isAssistant(last.role)) say({ role: 'assistant' }, field);
        const { call_id: id, name, arguments: args } = item;
        const turn = messages.at(-1)!;
        turn.tool_calls ??= [];
        turn.tool_calls.push({ id, type: 'function', function: { name, arguments: args } });
        origins.at(-1)!.calls.push(field);
        break;
      }
      case 'function_call_output':
        say({ role: 'tool', content: item.output, tool_call_id: item.call_id }, field);
        break;
      default:
        item satisfies never;
    }
  }
  return { body: { ...settings(fields), messages }, origins };
}

/** Runs what may refuse the chat request, and has it refuse this one. */
export function inWordsOfResponses<T>({ origins }: AsChat, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof EdgeError) || error.problem.kind !== 'invalid_request') throw error;
    const { param: chats, message, kind } = error.problem;
    const param = ours(chats, origins);
    throw new EdgeError({ kind, param, message: message.replace(`${chats}: `, `${param}: `) });
  }
}

/** Only what says something, so that a setting stays the chat API's to default or to refuse. */
function settings(fields: ResponseFields): Record<string, unknown> {
  const { tools, text, include, top_logprobs } = fields;
  const format = text?.format;
  const logprobs = include.includes('message.output_text.logprobs');
  if (top_logprobs && !logprobs) {
    refuse('top_logprobs', 'needs "message.output_text.logprobs" in include.');
  }
  const said = {
    model: fields.model,
    stream: fields.stream,
    temperature: fields.temperature,
    top_p: fields.top_p,
    max_completion_tokens: fields.max_output_tokens,
    ...Object.fromEntries(passedOn.map((name) => [name, fields[name]])),
    ...(tools.length > 0 && {
      tools: tools.map(({ name, description, parameters, strict }) => ({
        type: 'function',
        function: { name, description, parameters, strict },
      })),
      parallel_tool_calls: fields.parallel_tool_calls,
    }),
    ...(fields.tool_choice !== 'auto' && { tool_choice: toolChoice(fields.tool_choice) }),
    ...(format && format.type !== 'text' && { response_format: responseFormat(format) }),
    ...(logprobs && { logprobs, ...(top_logprobs !== undefined && { top_logprobs }) }),
    ...(fields.truncation === 'auto' && { truncation: 'auto' }),
  };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

function toolChoice(choice: ResponseFields['tool_choice']): unknown {
  if (typeof choice === 'string') return choice;
  const named = ({ name }: { name: string }) => ({ type: 'function', function: { name } });
  if (choice.type === 'function') return named(choice);
  return { type: choice.type, allowed_tools: { mode: choice.mode, tools: choice.tools.map(named) } };
}

function responseFormat(format: NonNullable<NonNullable<ResponseFields['text']>['format']>): unknown {
  if (format.type !== 'json_schema') return format;
  const { type, ...json_schema } = format;
  return { type, json_schema };
}

const names: readonly [RegExp, string][] = [
  [/^max_completion_tokens$|^max_tokens$/, 'max_output_tokens'],
  [/^logprobs$/, 'include'],
  [/^response_format\.json_schema/, 'text.format'],
  [/^response_format/, 'text.format'],
  [/^tools\.(\d+)\.function/, 'tools.$1'],
  [/^tool_choice\.allowed_tools\.tools\.(\d+)\.function/, 'tool_choice.tools.$1'],
  [/^tool_choice\.(allowed_tools|function)/, 'tool_choice'],
];

function ours(param: string, origins: AsChat['origins']): string {
  const [, at, call, rest = ''] = /^messages(?:\.(\d+)(?:\.tool_calls\.(\d+))?(.*))?$/.exec(param) ?? [];
  const origin = at === undefined ? undefined : origins[Number(at)];
  if (origin) {
    const field = (call === undefined ? undefined : origin.calls[Number(call)]) ?? origin.field;
    if (!field.startsWith('input.')) return field;
    return (
      field +
      (call === undefined
        ? rest.replace('.tool_call_id', '.call_id')
        : rest.replace('.function', '').replace('.id', '.call_id'))
    );
  }
  if (param.startsWith('messages')) return 'input';
  for (const [chats, name] of names) {
    if (chats.test(param)) return param.replace(chats, name);
  }
  return param;
}

function isAssistant(role: string): boolean {
  return role === 'assistant' || role === '助手';
}
