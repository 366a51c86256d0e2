/** Items of a conversation as they are stored and shown, in OpenAI's shapes. */

import { newItemId } from './response-id.ts';
import type { InputItem, ResponseFields } from './response-request.ts';

type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

/** As OpenAI's chat API tells them. */
export type Logprob = { token: string; logprob: number; bytes: number[] | null; top_logprobs: unknown[] };

export interface OutputText {
  type: 'output_text';
  text: string;
  annotations: [];
  logprobs: Logprob[];
}

interface InputText {
  type: 'input_text';
  text: string;
}

export interface MessageItem {
  id: string;
  type: 'message';
  role: string;
  status: ItemStatus;
  content: (InputText | OutputText)[];
}

export interface FunctionCallItem {
  id: string;
  type: 'function_call';
  call_id: string;
  name: string;
  arguments: string;
  status: ItemStatus;
}

interface FunctionCallOutputItem {
  id: string;
  type: 'function_call_output';
  call_id: string;
  output: string;
  status: ItemStatus;
}

export type OutputItem = MessageItem | FunctionCallItem;
export type Item = OutputItem | FunctionCallOutputItem;

/** The request's input with everything in it that OpenAI shows of an item. */
export function itemsOf(input: ResponseFields['input']): Item[] {
  return input.map(item);
}

function item(one: InputItem): Item {
  const status = one.status ?? 'completed';
  switch (one.type) {
    case 'message': {
      const assistant = one.role === 'assistant' || one.role === '助手';
      const content = one.content.map(({ text }) =>
        assistant ? outputText(text) : ({ type: 'input_text', text } as const),
      );
      return { id: one.id ?? newItemId('msg'), type: one.type, role: one.role, status, content };
    }
    case 'function_call': {
      const { type, call_id, name, arguments: args } = one;
      return { id: one.id ?? newItemId('fc'), type, call_id, name, arguments: args, status };
    }
    case 'function_call_output': {
      const { type, call_id, output } = one;
      return {
        id: one.id ?? newItemId('fco'),
        type,
        call_id,
        output: output.map(({ text }) => text).join(''),
        status,
      };
    }
    default:
      return one satisfies never;
  }
}

/** One that has yet to be said. */
export function newMessage(role: string): MessageItem {
  return { id: newItemId('msg'), type: 'message', role, status: 'in_progress', content: [] };
}

export function newCall(call_id = newItemId('fc'), name = ''): FunctionCallItem {
  return { id: newItemId('fc'), type: 'function_call', call_id, name, arguments: '', status: 'in_progress' };
}

export function outputText(text: string, logprobs: Logprob[] = []): OutputText {
  return { type: 'output_text', text, annotations: [], logprobs };
}
