/** How far a measured figure may lie from the one that all questions of its kind would give; 95 %. */
const z = 1.959964;

export interface Estimate {
  value: number;
  low: number;
  high: number;
}

/**
 * Of a share of right answers: Wilson's score interval, which holds for few answers and for none right.
 * https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval
 */
export function share(right: number, of: number): Estimate {
  if (of === 0) return { value: Number.NaN, low: 0, high: 1 };
  const value = right / of;
  const denominator = 1 + z ** 2 / of;
  const centre = (value + z ** 2 / (2 * of)) / denominator;
  const half = (z * Math.sqrt((value * (1 - value)) / of + z ** 2 / (4 * of ** 2))) / denominator;
  return { value, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/** Of a mean: normal approximation from the sample's own spread; for one value nothing is known. */
export function mean(values: readonly number[]): Estimate {
  const count = values.length;
  if (count === 0) return { value: Number.NaN, low: Number.NaN, high: Number.NaN };
  const value = values.reduce((sum, one) => sum + one, 0) / count;
  if (count === 1) return { value, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const variance = values.reduce((sum, one) => sum + (one - value) ** 2, 0) / (count - 1);
  const half = z * Math.sqrt(variance / count);
  return { value, low: value - half, high: value + half };
}

/** Of the mean of groups' shares, each group alike: the groups' own errors, added up. */
export function meanOfShares(groups: readonly { right: number; of: number }[]): Estimate {
  const shares = groups.map(({ right, of }) => share(right, of));
  const value = shares.reduce((sum, one) => sum + one.value, 0) / shares.length;
  // Wilson's half width is a standard error for few answers too, where p (1 − p) / n would say 0.
  const half =
    Math.sqrt(shares.reduce((sum, { low, high }) => sum + ((high - low) / 2) ** 2, 0)) / shares.length;
  return { value, low: Math.max(0, value - half), high: Math.min(1, value + half) };
}
