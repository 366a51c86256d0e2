/**
 * Conversations shaped like those of MT-Bench-zh and of chat products: a system prompt that many share or none, a
 * first question, an answer of some hundred tokens, and questions that follow after the user has read it.
 *
 * Lengths are lognormal. Of MT-Bench-zh's 80 items the questions were measured: first turns have a median of 55
 * characters (90 % below 309), second turns 24 (90 % below 48), at about 1.5 characters a token. Answers, the number
 * of turns beyond two and the share of system prompts are assumptions, stated here.
 */
import { mix } from '../../src/routing/prefix-keys.ts';

export interface Conversation {
  /** Keys of all its turns: a request for turn t sends the first ones. */
  keys: number[];
  /** Tokens of the block that each key closes. */
  blockTokens: number[];
  turns: number;
  answerTokens: number[];
  /** Between an answer's end and the next question, seconds. */
  thinkSeconds: number[];
}

/** mulberry32: small, seeded, good enough to draw loads from. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const meanAnswerTokens = 330;
/** Requests of a conversation: 2 to 8, on average. */
export const meanTurns = 3.5;

export function conversation(id: number, random: () => number): Conversation {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const lognormal = (median: number, sigma: number) => Math.round(median * Math.exp(sigma * normal()));
  const turns = 2 + Math.min(6, Math.floor(-1.8 * Math.log(1 - random())));
  const keys: number[] = [];
  const blockTokens: number[] = [];
  // Half of the conversations come from applications with a prompt of their own; a few applications have most.
  if (random() < 0.5) {
    const application = Math.floor(200 * random() ** 3);
    keys.push(mix(0x5eed + application));
    blockTokens.push(200 + (mix(application) % 1800));
  } else {
    keys.push(mix(0xd0d0));
    blockTokens.push(1);
  }
  const answerTokens: number[] = [];
  const thinkSeconds: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const answer = Math.min(2048, lognormal(250, 0.75));
    const before = turn === 0 ? 0 : answerTokens[turn - 1]!;
    keys.push(mix(id * 16 + turn + 0x10000));
    blockTokens.push(before + 8 + lognormal(turn === 0 ? 37 : 16, 1));
    answerTokens.push(answer);
    thinkSeconds.push(5 + lognormal(15, 0.8));
  }
  return { keys, blockTokens, turns, answerTokens, thinkSeconds };
}
