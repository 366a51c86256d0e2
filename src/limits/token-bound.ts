/**
 * The most tokens that a request can use: what it reserves before anybody has tokenised its prompt.
 *
 * Never less than the real number. SentencePiece with byte fallback makes at most one token of each UTF-8 byte, one
 * prefix space for each stretch of text, and one token for each control segment. Chinese text comes to about a
 * third of it, so what is reserved is often far more than what is charged; where the model's context is shorter, that
 * bounds it, because a node refuses what does not fit.
 */
import type { Segment } from 'huozi-gpu-backend/protocol';

/** What a node generates at most where the request gives no number, see `huozi-gpu-backend/protocol`. */
export const nodesDefaultMaxTokens = 2_048;

const encoder = new TextEncoder();

function promptBound(prompt: readonly Segment[]): number {
  let tokens = 0;
  for (const segment of prompt) tokens += 'text' in segment ? encoder.encode(segment.text).length + 1 : 1;
  return tokens;
}

/**
 * @param contextLength longest prompt + answer of any node that may take the request
 * @param choices of one prompt, which is counted once
 */
export function tokenBound(
  prompt: readonly Segment[],
  maxTokens: number | undefined,
  contextLength: number,
  choices = 1,
): number {
  const answer = Math.min(maxTokens ?? nodesDefaultMaxTokens, contextLength);
  // Prompt and one answer fit the context; a shorter prompt leaves each answer more room, but none more than it asks.
  return Math.min(promptBound(prompt) + choices * answer, contextLength + (choices - 1) * answer);
}
