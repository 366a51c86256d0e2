/** Ten shades for how often something happens against what an even spread would give. */

/** 0 never, 3 as often as evenly spread, 9 three times that and more. Fixed, so that two moments can be compared. */
export function shade(count: number, evenly: number): number {
  if (evenly <= 0) return 0;
  const steps = Math.min(9, Math.round((count / evenly) * 3));
  // What happened at all shows.
  return count > 0 ? Math.max(1, steps) : 0;
}

/** Tokens that each expert, or each pair of two different ones, would get. */
export function evenCounts(tokens: number, experts: number, used: number): { expert: number; pair: number } {
  return {
    expert: (tokens * used) / experts,
    pair: experts < 2 ? 0 : (tokens * used * (used - 1)) / (experts * (experts - 1)),
  };
}
