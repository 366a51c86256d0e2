/** Answers whose tokens told which experts they went through: of this tab alone, the last few. */
import { signal } from '@preact/signals';
import { oneOf, stored } from '../../stored.ts';
import { decodeRoutes, type Piece, type RoutedToken, routedTokens, type Shape } from './decode-routes.ts';

export interface RoutedAnswer {
  /** Of the chat's turn, or of what was asked here. */
  id: string;
  question: string;
  pieces: readonly Piece[];
}

/** What is read of a streamed chunk. */
interface Chunk {
  choices: readonly { index: number; delta: { content?: string | null } }[];
  routed_experts?: string;
}

const kept = 8;

/** Whether the chat's requests ask for routes. Looking costs the node's steps some time, so it is off by default. */
export const isRouting = stored('huozi.routes', false, oneOf(true, false));

/** Newest first. */
export const routedAnswers = signal<readonly RoutedAnswer[]>([]);

/** Of which answer which token was chosen, by keyboard, click or tap; `at` −1: none. */
export const chosen = signal({ answer: '', at: -1 });
/** The one under the mouse, which comes before it. */
export const pointed = signal<{ answer: string; at: number } | undefined>(undefined);

export const lookedAt = () => pointed.value ?? chosen.value;

/** By layer, the experts of the token that is looked at. */
export function shownRoute(shape: Shape): RoutedToken['route'] | undefined {
  const { answer: id, at } = lookedAt();
  const answer = routedAnswers.value.find((one) => one.id === id);
  return answer && routedTokens(answer.pieces, shape)[at]?.route;
}

/** Takes every chunk of a stream that was asked for with `return_routed_experts`; others pass. */
export function recordRoutes(id: string, question: string, { choices, routed_experts }: Chunk): void {
  const routes = routed_experts === undefined ? undefined : decodeRoutes(routed_experts);
  const [choice] = choices;
  if (!routes || !choice || choice.index !== 0) return;
  const piece: Piece = { text: choice.delta.content ?? '', routes };
  const known = routedAnswers.peek();
  const answer = known.find((one) => one.id === id);
  routedAnswers.value = answer
    ? known.map((one) => (one === answer ? { ...one, pieces: [...one.pieces, piece] } : one))
    : [{ id, question, pieces: [piece] }, ...known].slice(0, kept);
}
