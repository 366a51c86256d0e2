/** Times in milliseconds, counted in fixed buckets so that counts of different hours and keys add up. */

/** Upper ends; the last bucket, beyond them, has none. */
export const histogramBounds = [
  10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000, 120_000, 300_000,
] as const;

/** One count for each bound, and one for what lies beyond. */
export type Histogram = number[];

export function emptyHistogram(): Histogram {
  return new Array(histogramBounds.length + 1).fill(0);
}

export function observe(histogram: Histogram, ms: number): void {
  const at = histogramBounds.findIndex((bound) => ms <= bound);
  histogram[at < 0 ? histogramBounds.length : at]!++;
}

export function addHistogram(to: Histogram, other: Histogram): void {
  for (let at = 0; at < to.length; at++) to[at]! += other[at] ?? 0;
}
