/** `huozi/react`: a chat as a hook. */
import { useEffect, useState, useSyncExternalStore } from 'react';
import type { Huozi } from '../client.ts';
import type { ConversationOptions } from '../conversation.ts';
import { type ChatState, type ChatStore, createChatStore } from './chat-store.ts';

export type { ChatState } from './chat-store.ts';

/**
 * What a chat is made of; read once, when the component first renders.
 *
 * @example
 * const options: UseChatOptions = { huozi, model: 'huozi', system: '你是一个智能助手' };
 */
export interface UseChatOptions extends ConversationOptions {
  huozi: Pick<Huozi, 'chat'>;
}

/**
 * A chat that streams. The component renders again at each piece of text; an answer under way is stopped when the
 * component goes.
 *
 * @example
 * const huozi = new Huozi({ baseURL: '/api/huozi', apiKey: sessionKey });
 *
 * function Chat() {
 *   const { messages, status, error, send, stop, regenerate } = useChat({ huozi, model: 'huozi' });
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
  ...options
}: UseChatOptions): ChatState & Pick<ChatStore, 'send' | 'stop' | 'regenerate'> {
  const [store] = useState(() => createChatStore(huozi, options));
  const state = useSyncExternalStore(store.subscribe, store.getState, store.getState);
  useEffect(() => store.stop, [store]);
  const { send, stop, regenerate } = store;
  return { ...state, send, stop, regenerate };
}
