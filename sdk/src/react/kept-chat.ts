/** A chat as it lies in the browser's storage, so that a page that was loaded anew shows it and goes on with it. */
import type { ChatCompletionMessageParam } from '../chat-types.ts';

/**
 * What a chat is kept in: `localStorage`, `sessionStorage`, or your own.
 *
 * @example
 * const storage: ChatStorage = sessionStorage;
 */
export interface ChatStorage {
  /** Null for what is not there. */
  getItem(name: string): string | null;
  /** May throw: the chat then goes on, and is gone with its page. */
  setItem(name: string, value: string): void;
}

export interface KeptChat {
  /** What the next turn builds on. */
  history: readonly ChatCompletionMessageParam[];
  /** What was shown. */
  messages: readonly ChatCompletionMessageParam[];
  /** The question whose answer is not whole. */
  open?: string | undefined;
  /** Where the answer under way can be followed. */
  keptAt?: string | undefined;
}

const nameOf = (id: string) => `huozi.useChat.${id}`;

/** Undefined for what is not there, or no chat. */
export function readChat(storage: ChatStorage, id: string): KeptChat | undefined {
  try {
    const { history, messages, open, keptAt } = JSON.parse(storage.getItem(nameOf(id)) ?? '{}');
    return Array.isArray(history) && Array.isArray(messages)
      ? { history, messages, open, keptAt }
      : undefined;
  } catch {
    return undefined;
  }
}

export function writeChat(storage: ChatStorage, id: string, chat: KeptChat): void {
  try {
    storage.setItem(nameOf(id), JSON.stringify(chat));
  } catch {
    // Full, or forbidden.
  }
}
