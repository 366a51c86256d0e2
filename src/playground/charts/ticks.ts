/** Round numbers for an axis that begins at 0. */

/**
 * @param most what the axis must reach
 * @param count about so many steps
 * @returns from 0 to `most` or the next step above it, 1, 2 or 5 times a power of ten apart
 */
export function ticks(most: number, count = 4): number[] {
  if (!(most > 0 && Number.isFinite(most))) return [0, 1];
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999)! * power;
  const steps = Math.ceil((most / step) * 0.999_999);
  // Not by adding up: sums of 0.1 drift.
  return Array.from({ length: steps + 1 }, (_, at) => Number((at * step).toPrecision(12)));
}
