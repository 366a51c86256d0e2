/** Usage by the hour, put together to what a chart can show. Pure; times in unix seconds. */
import { type Histogram, quantile } from './quantile.ts';

/** A row of `GET /admin/usage`. */
export interface UsageRow {
  key?: string;
  hour?: number;
  requests: number;
  errors: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  ttft_ms: Histogram;
}

/** `bucket`: seconds that one bar stands for. */
export const spans = {
  day: { seconds: 86_400, bucket: 3_600 },
  week: { seconds: 7 * 86_400, bucket: 6 * 3_600 },
  month: { seconds: 30 * 86_400, bucket: 86_400 },
} as const;

export interface Bucket {
  /** When it begins. */
  at: number;
  requests: number;
  prompt: number;
  completion: number;
  ttft50: number | undefined;
  ttft95: number | undefined;
}

/**
 * One for each bucket that [from, to) touches, also where nothing was used.
 *
 * @param offset seconds that local time is ahead of UTC: days begin at midnight here
 */
export function bucketsOf(
  rows: readonly UsageRow[],
  { from, to, bucket, offset }: { from: number; to: number; bucket: number; offset: number },
): Bucket[] {
  const startOf = (time: number) => Math.floor((time + offset) / bucket) * bucket - offset;
  const first = startOf(from);
  const count = Math.max(0, Math.ceil((to - first) / bucket));
  return Array.from({ length: count }, (_, index) => {
    const at = first + index * bucket;
    const inside = rows.filter(({ hour = 0 }) => startOf(hour) === at);
    const sum = (of: (row: UsageRow) => number) => inside.reduce((all, row) => all + of(row), 0);
    const ttft = addUp(inside.map(({ ttft_ms }) => ttft_ms));
    return {
      at,
      requests: sum((row) => row.requests),
      prompt: sum((row) => row.prompt_tokens),
      completion: sum((row) => row.completion_tokens),
      ttft50: ttft && quantile(ttft, 0.5),
      ttft95: ttft && quantile(ttft, 0.95),
    };
  });
}

function addUp([first, ...others]: readonly Histogram[]): Histogram | undefined {
  if (!first) return undefined;
  const counts = first.counts.map((count, at) =>
    others.reduce((sum, one) => sum + (one.counts[at] ?? 0), count),
  );
  return { bounds: first.bounds, counts };
}
