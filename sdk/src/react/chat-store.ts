/** What `useChat` shows, without React: a conversation whose running answer can be watched. */

import { asFailure } from '../call.ts';
import type { ChatCompletionMessageParam } from '../chat-types.ts';
import type { Huozi } from '../client.ts';
import { Conversation, type ConversationOptions } from '../conversation.ts';
import type { HuoziError } from '../errors.ts';
import type { ChatStream } from '../stream.ts';

/**
 * One moment of a chat; a new object at each change.
 *
 * @example
 * const { messages, status, error }: ChatState = useChat({ huozi, model: 'huozi' });
 */
export interface ChatState {
  /** With the question that is being answered, and as much of its answer as came. */
  messages: readonly ChatCompletionMessageParam[];
  /** `waiting` until the first token. */
  status: 'ready' | 'waiting' | 'streaming' | 'error';
  /** Why the last answer is not whole; a stop is no error. */
  error: HuoziError | undefined;
}

export interface ChatStore {
  subscribe(listener: () => void): () => void;
  getState(): ChatState;
  /** Says something, and resolves when the answer has ended; it never rejects: see `error`. */
  send(text: string): Promise<void>;
  /** The last question again: also after an error, or a stop. */
  regenerate(): Promise<void>;
  stop(): void;
}

export function createChatStore(huozi: Pick<Huozi, 'chat'>, options: ConversationOptions): ChatStore {
  const conversation = new Conversation(huozi, options);
  const listeners = new Set<() => void>();
  let state: ChatState = { messages: [...conversation.messages], status: 'ready', error: undefined };
  let stopping: AbortController | undefined;
  /** The question whose answer is not whole, so not in the conversation. */
  let open: string | undefined;

  function set(change: Partial<ChatState>): void {
    state = { ...state, ...change };
    for (const listener of listeners) listener();
  }

  async function run(
    before: readonly ChatCompletionMessageParam[],
    ask: (signal: AbortSignal) => Promise<ChatStream>,
  ): Promise<void> {
    if (stopping) return;
    stopping = new AbortController();
    const { signal } = stopping;
    let content = '';
    set({ messages: before, status: 'waiting', error: undefined });
    try {
      const stream = await ask(signal);
      for await (const text of stream.textStream) {
        content += text;
        set({ messages: [...before, { role: 'assistant', content }], status: 'streaming' });
      }
      const error = await stream.ended;
      // After `ended`, so that the conversation has heard of it, too.
      if (error) throw error;
      open = undefined;
      set({ messages: [...conversation.messages], status: 'ready' });
    } catch (cause) {
      // What came stays to be read; the next turn does not build on it.
      if (signal.aborted) set({ status: 'ready' });
      else set({ status: 'error', error: asFailure(cause) });
    } finally {
      stopping = undefined;
    }
  }

  const ask = (text: string) => {
    open = text;
    const before = [...conversation.messages, { role: 'user' as const, content: text }];
    return run(before, (signal) => conversation.send(text, { signal }));
  };

  return {
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    getState: () => state,
    send: ask,
    async regenerate() {
      if (open !== undefined) return ask(open);
      const { messages } = conversation;
      const at = messages.findLastIndex(({ role }) => role === 'user' || role === '用户');
      if (at >= 0) await run(messages.slice(0, at + 1), (signal) => conversation.regenerate({ signal }));
    },
    stop: () => stopping?.abort(),
  };
}
