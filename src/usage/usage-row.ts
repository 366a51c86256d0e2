/** What one key used of one model in one hour, and how rows are put together for a report. */
import { addHistogram, emptyHistogram, type Histogram, histogramBounds, observe } from './histogram.ts';

const counters = [
  'requests',
  'errors',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'unsettled_tokens',
  'retries',
  'migrations',
] as const;

/** Who answered: one of the nodes, or the endpoint that answers where they cannot (../burst/). */
export type Upstream = 'node' | 'burst';

export interface UsageRow {
  model: string;
  /** When the hour began, unix seconds. An answer belongs to the hour in which it ended. */
  hour: number;
  requests: number;
  /** Of the requests: those that failed after they were let in. A client's leaving is none. */
  errors: number;
  prompt_tokens: number;
  /** Of the prompt tokens: those whose KV was reused. */
  cached_tokens: number;
  completion_tokens: number;
  /** Reserved by requests whose end nobody reported, because their worker was evicted. Charged, but not counted above. */
  unsettled_tokens: number;
  /** Times that another node was asked because one did not take a request. */
  retries: number;
  /** Times that another node went on with an answer because one was lost with it. */
  migrations: number;
  ttft: Histogram;
  duration: Histogram;
  /** The same of the answers that burst gave, which are in none of the counters above. Absent where there were none. */
  burst?: Omit<UsageRow, 'burst'>;
}

/** How one answer ended. */
export interface Outcome {
  /** A node where it is absent. */
  upstream?: Upstream;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  failed: boolean;
  retries: number;
  migrations: number;
  /** Milliseconds; undefined when there was no first token. */
  ttftMs: number | undefined;
  durationMs: number;
}

export function hourOf(now: number): number {
  return Math.floor(now / 3_600_000) * 3_600;
}

export function emptyRow(model: string, hour: number): UsageRow {
  const zeros = Object.fromEntries(counters.map((name) => [name, 0])) as Record<
    (typeof counters)[number],
    number
  >;
  return { model, hour, ...zeros, ttft: emptyHistogram(), duration: emptyHistogram() };
}

export function countOutcome(nodes: UsageRow, outcome: Outcome): void {
  if (outcome.upstream === 'burst') nodes.burst ??= emptyRow(nodes.model, nodes.hour);
  const row = outcome.upstream === 'burst' ? nodes.burst! : nodes;
  row.requests++;
  if (outcome.failed) row.errors++;
  row.prompt_tokens += outcome.promptTokens;
  row.cached_tokens += outcome.cachedTokens;
  row.completion_tokens += outcome.completionTokens;
  row.retries += outcome.retries;
  row.migrations += outcome.migrations;
  if (outcome.ttftMs !== undefined) observe(row.ttft, outcome.ttftMs);
  observe(row.duration, outcome.durationMs);
}

export function countUnsettled(row: UsageRow, tokens: number): void {
  row.requests++;
  row.errors++;
  row.unsettled_tokens += tokens;
}

export type Dimension = 'key' | 'model' | 'hour' | 'upstream';

/** A row as a report shows it; the dimensions it is grouped by stand in it. */
export type ReportRow = Partial<Record<Dimension, string | number>> &
  Record<(typeof counters)[number], number> & {
    ttft_ms: { bounds: readonly number[]; counts: Histogram };
    duration_ms: { bounds: readonly number[]; counts: Histogram };
  };

/** Rows that are alike in the dimensions become one. Without dimensions: one row, also of nothing. */
export function report(
  rows: Iterable<UsageRow & { key?: string }>,
  dimensions: readonly Dimension[],
): ReportRow[] {
  const groups = new Map<string, ReportRow>();
  const groupOf = (labels: Partial<Record<Dimension, string | number>>): ReportRow => {
    const name = JSON.stringify(labels);
    let group = groups.get(name);
    if (!group) {
      const { model: _model, hour: _hour, ttft, duration, ...zeros } = emptyRow('', 0);
      group = {
        ...labels,
        ...zeros,
        ttft_ms: { bounds: histogramBounds, counts: ttft },
        duration_ms: { bounds: histogramBounds, counts: duration },
      };
      groups.set(name, group);
    }
    return group;
  };
  if (dimensions.length === 0) groupOf({});
  for (const row of perUpstream(rows)) {
    const group = groupOf(Object.fromEntries(dimensions.map((one) => [one, row[one]])));
    // A row of an older version may lack one.
    for (const name of counters) group[name] += row[name] ?? 0;
    addHistogram(group.ttft_ms.counts, row.ttft);
    addHistogram(group.duration_ms.counts, row.duration);
  }
  return [...groups.values()];
}

function* perUpstream(
  rows: Iterable<UsageRow & { key?: string }>,
): Generator<UsageRow & { key?: string; upstream: Upstream }> {
  for (const row of rows) {
    const { burst, ...ofNodes } = row;
    if (row.requests > 0) yield { ...ofNodes, upstream: 'node' };
    if (burst) yield { ...row, ...burst, upstream: 'burst' };
  }
}
