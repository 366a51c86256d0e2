/** What `useChat` shows, without React: a conversation whose running answer can be watched. */

import { asFailure } from '../call.ts';
import type { ChatCompletionMessageParam } from '../chat-types.ts';
import type { Huozi } from '../client.ts';
import { Conversation, type ConversationOptions } from '../conversation.ts';
import type { HuoziError } from '../errors.ts';
import type { ChatStream } from '../stream.ts';
import { follow } from '../streams.ts';
import { type ChatStorage, readChat, writeChat } from './kept-chat.ts';

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
  /** The first listener has an answer taken up that was under way when the page was left. */
  subscribe(listener: () => void): () => void;
  getState(): ChatState;
  /** What a server renders, which knows nothing of a browser's storage. */
  getServerState(): ChatState;
  /** Says something, and resolves when the answer has ended; it never rejects: see `error`. */
  send(text: string): Promise<void>;
  /** The last question again: also after an error, or a stop. */
  regenerate(): Promise<void>;
  stop(): void;
}

/** Where a chat is kept over reloads, and by which name. */
export interface Keeping {
  id: string;
  storage: ChatStorage;
}

/**
 * Chats that are kept, while they answer: one whose component goes is read on, and found here when the component comes
 * back. Only who is answered is in it, so that a server that renders has none.
 */
const answering = new Map<string, ChatStore>();

export function chatStore(
  huozi: Pick<Huozi, 'chat' | 'call'>,
  options: ConversationOptions,
  keeping?: Keeping,
): ChatStore {
  return (keeping && answering.get(keeping.id)) ?? createChatStore(huozi, options, keeping);
}

function createChatStore(
  huozi: Pick<Huozi, 'chat' | 'call'>,
  options: ConversationOptions,
  keeping: Keeping | undefined,
): ChatStore {
  const kept = keeping && readChat(keeping.storage, keeping.id);
  const conversation = new Conversation(huozi, kept ? { ...options, history: kept.history } : options);
  const listeners = new Set<() => void>();
  const { history = [] } = options;
  const serverState: ChatState = { messages: [...history], status: 'ready', error: undefined };
  let state: ChatState = kept ? { ...serverState, messages: kept.messages } : serverState;
  let stopping: AbortController | undefined;
  /** The question whose answer is not whole, so not in the conversation. */
  let open = kept?.open;
  let keptAt = kept?.keptAt;

  function set(change: Partial<ChatState>): void {
    state = { ...state, ...change };
    for (const listener of listeners) listener();
  }

  /** Between the tokens nothing is written: an answer under way is told again from its beginning. */
  function keep(): void {
    if (!keeping) return;
    const { messages: history } = conversation;
    writeChat(keeping.storage, keeping.id, { history, messages: state.messages, open, keptAt });
  }

  async function run(
    before: readonly ChatCompletionMessageParam[],
    ask: (signal: AbortSignal) => Promise<ChatStream>,
    from?: string,
  ): Promise<void> {
    if (stopping) return;
    stopping = new AbortController();
    keptAt = from;
    if (keeping) answering.set(keeping.id, store);
    const { signal } = stopping;
    let content = '';
    set({ messages: before, status: 'waiting', error: undefined });
    try {
      keep();
      const stream = await ask(signal);
      ({ keptAt } = stream);
      keep();
      for await (const text of stream.textStream) {
        content += text;
        set({ messages: [...before, { role: 'assistant', content }], status: 'streaming' });
      }
      const error = await stream.ended;
      // After `ended`, so that the conversation has heard of it, too.
      if (error) throw error;
      open = keptAt = undefined;
      set({ messages: [...conversation.messages], status: 'ready' });
    } catch (cause) {
      const error = asFailure(cause);
      // One that only its connection was lost of can be taken up when the page is loaded again.
      if (signal.aborted || !error.isRetryable) keptAt = undefined;
      // What came stays to be read; the next turn does not build on it.
      set(signal.aborted ? { status: 'ready' } : { status: 'error', error });
    } finally {
      stopping = undefined;
      if (keeping) answering.delete(keeping.id);
      keep();
    }
  }

  const ask = (text: string) => {
    open = text;
    const before = [...conversation.messages, { role: 'user' as const, content: text }];
    return run(before, (signal) => conversation.send(text, { signal }));
  };

  function lastQuestion(): number {
    return conversation.messages.findLastIndex(({ role }) => role === 'user' || role === '用户');
  }

  function takeUp(from: string): void {
    const { messages } = conversation;
    const before =
      open === undefined
        ? messages.slice(0, lastQuestion() + 1)
        : [...messages, { role: 'user' as const, content: open }];
    void run(
      before,
      async (signal) => conversation.takeUp(await follow(huozi, from, { signal }), open),
      from,
    );
  }

  const store: ChatStore = {
    subscribe(listener) {
      listeners.add(listener);
      if (keptAt && !stopping) takeUp(keptAt);
      return () => void listeners.delete(listener);
    },
    getState: () => state,
    getServerState: () => serverState,
    send: ask,
    async regenerate() {
      if (open !== undefined) return ask(open);
      const { messages } = conversation;
      const at = lastQuestion();
      if (at >= 0) await run(messages.slice(0, at + 1), (signal) => conversation.regenerate({ signal }));
    },
    stop: () => stopping?.abort(),
  };
  return store;
}
