/**
 * `truncation: "auto"`: a conversation that is longer than the context loses its oldest rounds, a question and what
 * was answered to it together. Never the system turns or the last question; of what followed that one (calls of
 * functions and their results) only what is older than the last.
 */
import type { Segment } from 'huozi-gpu-backend/protocol';
import { renderChat, type Turn } from './chatml.ts';
import type { Conversation } from './conversation.ts';

/** A shorter prompt, or undefined when nothing may go that would help. */
export type Shorten = (tokens: readonly number[], room: number) => Segment[] | undefined;

/** @returns for the prompt that `renderChat` makes of the conversation */
export function shortening({ turns, ending }: Conversation): Shorten {
  return (tokens, room) => {
    const kept = fitting(turns, turnLengths(tokens, turns.length), tokens.length - room);
    return kept && renderChat(kept, ending);
  };
}

/**
 * Tokens of each turn. The second token of a prompt is the marker that begins a turn, which stands nowhere else but
 * where the next one begins, because text cannot make one.
 */
function turnLengths(tokens: readonly number[], count: number): number[] {
  const begin = tokens[1];
  const starts: number[] = [];
  tokens.forEach((token, at) => {
    if (token === begin) starts.push(at);
  });
  return Array.from({ length: count }, (_, at) => (starts[at + 1] ?? tokens.length) - starts[at]!);
}

/** @param excess tokens that have to go */
function fitting(turns: readonly Turn[], lengths: readonly number[], excess: number): Turn[] | undefined {
  const gone = new Set<number>();
  let left = excess;
  for (const unit of removable(turns)) {
    if (left <= 0) break;
    for (const at of unit) {
      gone.add(at);
      left -= lengths[at]!;
    }
  }
  return left <= 0 ? turns.filter((_, at) => !gone.has(at)) : undefined;
}

/** What may go, in the order in which it goes: indices of turns that go together. */
function removable(turns: readonly Turn[]): number[][] {
  const isQuestion = (turn: Turn) => turn.speaker === '用户' && !turn.results;
  const lastQuestion = turns.findLastIndex(isQuestion);
  const rounds: number[][] = [];
  turns.forEach((turn, at) => {
    if (turn.speaker === '系统' || at === lastQuestion) return;
    const begins = at < lastQuestion ? isQuestion(turn) : turn.speaker === '助手';
    const afterQuestion = rounds.length > 0 && rounds.at(-1)![0]! < lastQuestion && at > lastQuestion;
    if (begins || afterQuestion || rounds.length === 0) rounds.push([at]);
    else rounds.at(-1)!.push(at);
  });
  const lastRound = rounds.at(-1);
  return lastRound && lastRound[0]! > lastQuestion ? rounds.slice(0, -1) : rounds;
}
