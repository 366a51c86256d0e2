/** Quantiles of times that were counted in buckets. Pure. */

/** As the usage reports have it: upper ends in milliseconds, and one more count than these for what lies beyond. */
export interface Histogram {
  bounds: readonly number[];
  counts: readonly number[];
}

/**
 * Within a bucket times are taken to be spread evenly, so it is as exact as the bucket is narrow; what lies beyond all
 * bounds counts as the last. Undefined of nothing.
 *
 * @param q in (0, 1]
 */
export function quantile({ bounds, counts }: Histogram, q: number): number | undefined {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return undefined;
  let left = q * all;
  for (const [at, count] of counts.entries()) {
    const upper = bounds[at];
    if (upper === undefined) break;
    const lower = at === 0 ? 0 : bounds[at - 1]!;
    if (left <= count && count > 0) return lower + (upper - lower) * (left / count);
    left -= count;
  }
  return bounds.at(-1);
}

/** What was counted between two looks; undefined when counts went down, as when an hour ends between them. */
export function between(before: Histogram, after: Histogram): Histogram | undefined {
  const counts = after.counts.map((count, at) => count - (before.counts[at] ?? 0));
  return counts.some((count) => count < 0) ? undefined : { bounds: after.bounds, counts };
}
