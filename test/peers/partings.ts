/**
 * Where two greedy answers to the same question part, and whether rounding alone decides there: each engine's own
 * log-probabilities say how far the other's token lies behind its own.
 */

export interface ToldToken {
  token: string;
  logprob: number;
  top_logprobs: { token: string; logprob: number }[];
}

/** Alternatives to ask for, so that the other engine's token is among them. */
export const alternatives = 5;

/**
 * Both candidates must lie within this of each other to both sides, in natural logarithms (a ratio of 1.05). Stricter than
 * the engines agree: half of the time they see such a distance alike within 0.07 (RESULTS.md), since ours computes with
 * 8-bit activations.
 */
const nearTie = 0.05;

export interface Parting {
  /** Tokens that are the same before it. */
  at: number;
  /** What each side drew there. */
  tokens: [string, string];
  /** How far each side saw the other's token behind its own; Infinity where it was not among the alternatives. */
  margins: [number, number];
  near: boolean;
}

/** @param endToken what the model's end is called, for an answer that ends where the other goes on */
export function parting(
  one: readonly ToldToken[],
  other: readonly ToldToken[],
  endToken: string,
): Parting | undefined {
  const longest = Math.max(one.length, other.length);
  let at = 0;
  while (at < longest && one[at]?.token === other[at]?.token) at++;
  if (at === longest) return undefined;
  const tokens: [string, string] = [one[at]?.token ?? endToken, other[at]?.token ?? endToken];
  // A side that has ended tells nothing of its end, so the other side alone has to be near.
  const margins = [behind(one[at], tokens[1]), behind(other[at], tokens[0])].filter((m) => m !== undefined);
  return {
    at,
    tokens,
    margins: margins as [number, number],
    near: margins.every((margin) => margin < nearTie),
  };
}

function behind(drawn: ToldToken | undefined, candidate: string): number | undefined {
  if (!drawn) return undefined;
  const found = drawn.top_logprobs.find(({ token }) => token === candidate);
  return found ? drawn.logprob - found.logprob : Number.POSITIVE_INFINITY;
}

export function shown({ at, tokens, margins, near }: Parting): string {
  const seen = margins.map((margin) => margin.toFixed(4)).join(' and ');
  return `token ${at}: ${JSON.stringify(tokens[0])} or ${JSON.stringify(tokens[1])}, ${seen} apart: ${near ? 'a near-tie' : 'NO near-tie'}`;
}
