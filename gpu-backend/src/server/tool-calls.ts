/**
 * The calls in an answer of the form that grammar/tools.ts gives it, as OpenAI's deltas. All it does follows from the
 * text alone, so an answer that goes on elsewhere goes on here with the same ids after the same text.
 */
import { createHash } from 'node:crypto';
import { callBegin, callEnd } from '../grammar/tools.ts';

interface ToolCall {
  index: number;
  id?: string;
  type?: 'function';
  function: { name?: string; arguments: string };
}

/** What one piece of text adds. It is one delta, so that a stream can be cut only before or after it. */
export interface ToolDelta {
  content?: string;
  tool_calls?: ToolCall[];
}

const header = /^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)/;

export class ToolCalls {
  readonly #identity: string;
  #state: 'content' | 'header' | 'arguments' | 'end' = 'content';
  #held = '';
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** Begun so far. */
  count = 0;

  /** @param identity of the answer, from which the ids of its calls follow */
  constructor(identity: string) {
    this.#identity = identity;
  }

  /** @returns undefined where the text adds nothing yet */
  push(text: string): ToolDelta | undefined {
    const delta: ToolDelta = {};
    let rest = this.#held + text;
    this.#held = '';
    while (rest !== '') {
      const left = this.#step(rest, delta);
      if (left === undefined) break;
      rest = left;
    }
    return delta.content === undefined && !delta.tool_calls ? undefined : delta;
  }

  /** What was held back, when no more text comes. A call that lacks its end has been told as far as it came. */
  flush(): ToolDelta {
    const rest = this.#held;
    this.#held = '';
    return this.#state === 'content' && rest !== '' && this.count === 0 ? { content: rest } : {};
  }

  /** @returns what is left to be looked at; undefined where more text must come first */
  #step(text: string, delta: ToolDelta): string | undefined {
    switch (this.#state) {
      case 'content': {
        const begin = text.indexOf(callBegin);
        // White space before a call belongs to neither.
        const end = begin >= 0 ? text.slice(0, begin).trimEnd().length : text.length - tailLength(text);
        if (end > 0) delta.content = (delta.content ?? '') + text.slice(0, end);
        if (begin < 0) return this.#hold(text.slice(end));
        this.#state = 'header';
        return text.slice(begin + callBegin.length);
      }
      case 'header': {
        const match = header.exec(text);
        if (!match) return this.#hold(text);
        const index = this.count++;
        const name = JSON.parse(match[1] as string) as string;
        delta.tool_calls ??= [];
        delta.tool_calls.push({
          index,
          id: this.#id(index),
          type: 'function',
          function: { name, arguments: '' },
        });
        this.#state = 'arguments';
        return text.slice(match[0].length);
      }
      case 'arguments': {
        const length = this.#argumentsLength(text);
        const index = this.count - 1;
        delta.tool_calls ??= [];
        let call = delta.tool_calls.at(-1);
        if (call?.index !== index) {
          call = { index, function: { arguments: '' } };
          delta.tool_calls.push(call);
        }
        call.function.arguments += text.slice(0, length);
        if (this.#depth > 0) return undefined;
        this.#state = 'end';
        return text.slice(length);
      }
      case 'end': {
        const end = text.indexOf(callEnd);
        if (end < 0) return this.#hold(text);
        this.#state = 'content';
        return text.slice(end + callEnd.length);
      }
      default:
        return this.#state satisfies never;
    }
  }

  #hold(text: string): undefined {
    this.#held = text;
  }

  /** How much of `text` belongs to the JSON object that has begun. */
  #argumentsLength(text: string): number {
    for (let i = 0; i < text.length; i++) {
      const character = text[i];
      if (this.#escaped) this.#escaped = false;
      else if (this.#inString) {
        if (character === '\\') this.#escaped = true;
        else if (character === '"') this.#inString = false;
      } else if (character === '"') this.#inString = true;
      else if (character === '{') this.#depth++;
      else if (character === '}' && --this.#depth === 0) return i + 1;
    }
    return text.length;
  }

  #id(index: number): string {
    const digest = createHash('sha256').update(`${this.#identity} ${index}`).digest('hex');
    return `call_${digest.slice(0, 24)}`;
  }
}

/** How much at the end may be white space before a call, and the beginning of its marker. */
function tailLength(text: string): number {
  let marker = Math.min(text.length, callBegin.length - 1);
  while (marker > 0 && !text.endsWith(callBegin.slice(0, marker))) marker--;
  const before = text.slice(0, text.length - marker);
  return marker + before.length - before.trimEnd().length;
}
