/** The conversations, kept in this browser: one item of localStorage each, so that one that is spoilt spoils no other. */
import { computed, signal } from '@preact/signals';
import { readItem, writeItem } from '../../stored.ts';
import { type Chat, chatFrom, newChat } from './tree.ts';

const prefix = 'huozi.chat.';

function load(): Record<string, Chat> {
  const chats: Record<string, Chat> = {};
  for (const name of Object.keys(localStorage).filter((item) => item.startsWith(prefix))) {
    const chat = parse(readItem(localStorage, name));
    if (chat) chats[chat.id] = chat;
  }
  return chats;
}

function parse(text: string | null): Chat | undefined {
  try {
    return chatFrom(JSON.parse(text ?? 'null'));
  } catch {
    return undefined;
  }
}

const all = signal<Record<string, Chat>>(load());

/** Latest first. */
export const chats = computed(() => Object.values(all.value).sort((a, b) => b.updatedAt - a.updatedAt));

const currentId = signal(readItem(sessionStorage, 'huozi.chat') ?? '');

/** A conversation of which nothing was said is stored nowhere. */
const blank = signal(newChat(crypto.randomUUID(), Date.now()));

export const current = computed<Chat>(() => all.value[currentId.value] ?? blank.value);

/** The browser refused to keep something. */
export const isFull = signal(false);

export const chatOf = (id: string): Chat | undefined =>
  all.value[id] ?? (blank.value.id === id ? blank.value : undefined);

export function open(id: string): void {
  currentId.value = id;
  writeItem(sessionStorage, 'huozi.chat', id);
}

export function openNew(): void {
  blank.value = newChat(crypto.randomUUID(), Date.now(), '');
  open(blank.value.id);
}

/** Changes a conversation. @param keepNow false while tokens come: {@link keepAll} follows */
export function change(id: string, how: (chat: Chat) => Chat, keepNow = true): void {
  const before = chatOf(id);
  if (!before) return;
  const after = how(before);
  // Settings of a conversation that has not begun.
  if (after.turns.length === 0 && before === blank.value) {
    blank.value = after;
    return;
  }
  all.value = { ...all.value, [id]: after };
  if (currentId.value === '' && before === blank.value) open(id);
  if (keepNow) keep(after);
  else unkept.add(id);
}

/** Whose last tokens stand in memory alone. */
const unkept = new Set<string>();

function keepAll(): void {
  for (const id of unkept) keep(all.value[id]);
}

function keep(chat: Chat | undefined): void {
  if (!chat) return;
  unkept.delete(chat.id);
  isFull.value = !writeItem(localStorage, prefix + chat.id, JSON.stringify(chat));
}

/** @returns how to take it back */
export function remove(id: string): () => void {
  const chat = all.value[id];
  const { [id]: _, ...rest } = all.value;
  all.value = rest;
  unkept.delete(id);
  writeItem(localStorage, prefix + id, null);
  isFull.value = false;
  if (currentId.value === id) openNew();
  return () => {
    if (!chat) return;
    all.value = { ...all.value, [id]: chat };
    keep(chat);
    open(id);
  };
}

// A page that is left, reloaded or put away keeps what has come so far.
addEventListener('pagehide', keepAll);
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'hidden') keepAll();
});

// Another tab's changes, except to what this tab is changing.
addEventListener('storage', ({ key: name, newValue }) => {
  if (!name?.startsWith(prefix)) return;
  const id = name.slice(prefix.length);
  if (unkept.has(id)) return;
  const { [id]: _, ...rest } = all.value;
  const chat = parse(newValue);
  all.value = chat ? { ...rest, [id]: chat } : rest;
});
