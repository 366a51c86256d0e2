/** How evenly the experts of a layer are used. Of counts, so that what nodes counted apart can be put together. */

/** Bits: −Σ pᵢ log₂ pᵢ with pᵢ = countᵢ ÷ Σ counts; log2(experts) when all are used alike, 0 of nothing. */
export function entropy(counts: readonly number[]): number {
  const sum = total(counts);
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= (count / sum) * Math.log2(count / sum);
  return bits;
}

/** The most frequent expert over the mean: 1 when all are used alike, and of nothing. */
export function imbalance(counts: readonly number[]): number {
  const sum = total(counts);
  return sum === 0 ? 1 : (Math.max(...counts) * counts.length) / sum;
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
