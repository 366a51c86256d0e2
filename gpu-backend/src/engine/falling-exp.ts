/**
 * e^-x for 0 ≤ x ≤ `depth`, to within 10⁻¹¹ of itself: a table in steps of 1/256 and four terms for the rest. Half
 * of `Math.exp`'s time, which is what a step spends most on besides llama_decode when tokens are drawn from a
 * vocabulary of 57,000. Only IEEE multiplications and additions: the same result on every machine.
 */
export const depth = 24;
const steps = 256;

// One more than `depth` needs, for an x that rounding has left just above it.
const table = Float64Array.from({ length: (depth + 1) * steps }, (_, i) => Math.exp(-i / steps));

export function fallingExp(x: number): number {
  const scaled = x * steps;
  const step = scaled | 0;
  const r = (scaled - step) / steps;
  return (table[step] as number) * (1 - r * (1 - r * (1 / 2 - r * (1 / 6))));
}

/** Not below `fallingExp(x)`, and above it by 1/256 of itself at most: what is needed to see that something is too small. */
export function atMostFallingExp(x: number): number {
  return table[(x * steps) | 0] as number;
}
