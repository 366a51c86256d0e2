/**
 * A conversation is a tree: an edited question and another answer are siblings of the first one, and nothing that was
 * said is lost. What is on the screen is one path, from the root along the chosen children. All functions are pure.
 */
import type { FinishReason } from 'huozi';

export interface Answer {
  state: 'running' | 'done' | 'stopped' | 'failed';
  model: string;
  /** Unix milliseconds of the request. */
  askedAt: number;
  finish?: FinishReason | undefined;
  /** Tokens, as the edge counts and bills them. */
  usage?: { prompt: number; completion: number; cached: number } | undefined;
  /** Milliseconds from the request to the first text. */
  ttft?: number | undefined;
  /** Milliseconds from the first text to the last. */
  duration?: number | undefined;
  /** Where it is taken up after the page was left, and what stood in `text` before it. */
  stream?: { keptAt: string; before: string } | undefined;
  requestId?: string | undefined;
  problem?: { message: string; code: string | null; isKey: boolean } | undefined;
}

export interface Turn {
  id: string;
  parent: string | null;
  role: 'user' | 'assistant';
  text: string;
  /** Of an assistant's turn. */
  answer?: Answer | undefined;
}

export interface Chat {
  id: string;
  /** '' until somebody names it: then the first question stands for it. */
  title: string;
  system: string;
  /** Unix milliseconds. */
  createdAt: number;
  updatedAt: number;
  turns: readonly Turn[];
  /** Which child of a turn ('' for the root) is shown; the last one where nothing stands. */
  chosen: Readonly<Record<string, string>>;
}

export const newChat = (id: string, now: number, system = ''): Chat => ({
  id,
  title: '',
  system,
  createdAt: now,
  updatedAt: now,
  turns: [],
  chosen: {},
});

const childrenOf = ({ turns }: Chat, parent: string | null) => turns.filter((turn) => turn.parent === parent);

/** All turns in the place of this one, itself among them. */
export const siblingsOf = (chat: Chat, turn: Turn): Turn[] => childrenOf(chat, turn.parent);

/** The turns on the screen. */
export function pathOf(chat: Chat): Turn[] {
  const path: Turn[] = [];
  let parent: string | null = null;
  for (;;) {
    const children = childrenOf(chat, parent);
    const wanted: string | undefined = chat.chosen[parent ?? ''];
    const next: Turn | undefined = children.find(({ id }) => id === wanted) ?? children.at(-1);
    if (!next) return path;
    path.push(next);
    parent = next.id;
  }
}

/** The turns up to this one, itself among them. */
export function pathTo(chat: Chat, id: string | null): Turn[] {
  const path: Turn[] = [];
  for (let at = id; at !== null; ) {
    const turn = chat.turns.find((candidate) => candidate.id === at);
    if (!turn) break;
    path.unshift(turn);
    at = turn.parent;
  }
  return path;
}

/** Adds a turn and shows it. */
export function withTurn(chat: Chat, turn: Turn, now: number): Chat {
  return { ...withChoice(chat, turn), turns: [...chat.turns, turn], updatedAt: now };
}

/** Shows this one of its siblings. */
export function withChoice(chat: Chat, { parent, id }: Turn): Chat {
  return { ...chat, chosen: { ...chat.chosen, [parent ?? '']: id } };
}

export function withChange(chat: Chat, id: string, change: (turn: Turn) => Turn): Chat {
  return { ...chat, turns: chat.turns.map((turn) => (turn.id === id ? change(turn) : turn)) };
}

/** Takes a turn out, with all that was said after it. */
export function without(chat: Chat, id: string): Chat {
  const gone = new Set([id]);
  // Children come after their parents.
  for (const turn of chat.turns) if (turn.parent !== null && gone.has(turn.parent)) gone.add(turn.id);
  return { ...chat, turns: chat.turns.filter((turn) => !gone.has(turn.id)) };
}

/** What a list shows it as. */
export function titleOf({ title, turns }: Chat): string {
  const text = title || (turns.find(({ role }) => role === 'user')?.text ?? '');
  const [line = ''] = text.trim().split('\n', 1);
  return [...line].length > 40 ? `${[...line].slice(0, 40).join('')}…` : line;
}

/** Tokens a second between the first and the last text of an answer; the first token came before. */
export function speedOf({ usage, duration }: Answer): number | undefined {
  return usage && duration && usage.completion > 1 ? ((usage.completion - 1) * 1000) / duration : undefined;
}

/** What lies in the browser may be of another version, or broken: @returns undefined for what is no conversation */
export function chatFrom(value: unknown): Chat | undefined {
  const chat = Object(value) as Partial<Chat>;
  const isTurn = (turn: unknown) => {
    const { id, parent, role, text } = Object(turn) as Partial<Turn>;
    return (
      typeof id === 'string' &&
      (parent === null || typeof parent === 'string') &&
      (role === 'user' || role === 'assistant') &&
      typeof text === 'string'
    );
  };
  if (typeof chat.id !== 'string' || !Array.isArray(chat.turns) || !chat.turns.every(isTurn))
    return undefined;
  const { id, title, system, createdAt, updatedAt, chosen } = chat;
  // A turn comes after its parent, and once: else its path would have no end.
  const seen = new Set<string | null>([null]);
  const turns = (chat.turns as Turn[]).filter(
    (turn) => seen.has(turn.parent) && !seen.has(turn.id) && seen.add(turn.id),
  );
  const given = newChat(id, Number(createdAt) || 0, typeof system === 'string' ? system : '');
  return {
    ...given,
    title: typeof title === 'string' ? title : '',
    updatedAt: Number(updatedAt) || 0,
    turns,
    chosen: { ...Object(chosen) },
  };
}
