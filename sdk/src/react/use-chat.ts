/** `huozi/react`: a chat as a hook. */
import { useEffect, useState, useSyncExternalStore } from 'react';
import type { Huozi } from '../client.ts';
import type { ConversationOptions } from '../conversation.ts';
import { type ChatState, type ChatStore, chatStore, type Keeping } from './chat-store.ts';
import type { ChatStorage } from './kept-chat.ts';

export type { ChatState } from './chat-store.ts';
export type { ChatStorage } from './kept-chat.ts';

/**
 * What a chat is made of; read once, when the component first renders.
 *
 * @example
 * const options: UseChatOptions = { huozi, model: 'huozi', system: '你是一个智能助手' };
 */
export interface UseChatOptions extends ConversationOptions {
  huozi: Pick<Huozi, 'chat' | 'call'>;
  /**
   * Keeps the chat in the browser by this name. An answer that was under way when the page was left or reloaded is then
   * taken up, from the edge that keeps it (`baseURL` must lead to its `/v1/streams`), and one whose component goes is
   * read on.
   */
  id?: string | undefined;
  /** Where a chat with an `id` is kept. @default localStorage */
  storage?: ChatStorage | undefined;
}

/**
 * A chat that streams. The component renders again at each piece of text; an answer under way is stopped when the
 * component goes, unless the chat has an `id`: then it goes on, also over a reload.
 *
 * @example
 * const huozi = new Huozi({ baseURL: '/api/huozi', apiKey: sessionKey });
 *
 * function Chat() {
 *   const { messages, status, error, send, stop, regenerate } = useChat({ huozi, model: 'huozi', id: 'main' });
 *   return (
 *     <>
 *       {messages.map(({ role, content }, at) => <p key={at} className={role}>{String(content)}</p>)}
 *       {error && <button onClick={regenerate}>{error.message} · again</button>}
 *       <form action={(data) => send(String(data.get('text')))}><input name="text" /></form>
 *       {status === 'streaming' && <button onClick={stop}>stop</button>}
 *     </>
 *   );
 * }
 */
export function useChat({
  huozi,
  id,
  storage,
  ...options
}: UseChatOptions): ChatState & Pick<ChatStore, 'send' | 'stop' | 'regenerate'> {
  const [store] = useState(() => chatStore(huozi, options, keepingOf(id, storage)));
  const state = useSyncExternalStore(store.subscribe, store.getState, store.getServerState);
  useEffect(() => (id === undefined ? store.stop : undefined), [store, id]);
  const { send, stop, regenerate } = store;
  return { ...state, send, stop, regenerate };
}

/** Undefined where nothing is kept: on a server, and where a browser forbids it. */
function keepingOf(id: string | undefined, storage: ChatStorage | undefined): Keeping | undefined {
  if (id === undefined || !('document' in globalThis)) return undefined;
  try {
    return { id, storage: storage ?? localStorage };
  } catch {
    return undefined;
  }
}
