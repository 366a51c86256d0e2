/** `huozi usage`: of all keys with the operator's token, else of the key that is set. */
import { env } from 'node:process';
import { requestJson } from '../requester.ts';
import { adminOf } from './admin.ts';
import { clientOf, clientOptions, parse } from './client.ts';
import { say, table, UsageError } from './terminal.ts';

export const help = `huozi usage [--by key,model,hour,upstream] [--from 2026-11-01] [--to 2026-12-01] [--key ID]

With HUOZI_ADMIN_TOKEN of all keys (--key: of one, up to the second), else of your own. Default: the last 30 days.
  --base-url URL   --json`;

type Row = Record<string, number | string> & { ttft_ms: Histogram; duration_ms: Histogram };
interface Histogram {
  bounds: number[];
  counts: number[];
}

const options = {
  ...clientOptions,
  by: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  key: { type: 'string' },
} as const;

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, options);
  if (positionals.length > 0) throw new UsageError('huozi usage takes nothing but options');
  const isAdmin = Boolean(env.HUOZI_ADMIN_TOKEN);
  const by = (values.by ?? (isAdmin ? 'key,model' : 'model')).split(',').filter(Boolean);
  const query = new URLSearchParams({ group_by: by.join(',') });
  for (const name of ['from', 'to', 'key'] as const) {
    const value = values[name];
    if (value) query.set(name, value);
  }
  const path = `/usage?${query}`;
  const { data } = isAdmin
    ? await adminOf(values)<{ data: Row[] }>('GET', path)
    : await requestJson<{ data: Row[] }>(clientOf(values).call, path);
  if (values.json) for (const row of data) say(JSON.stringify(row));
  else {
    const heads = [...by, 'requests', 'errors', 'prompt', 'cached', 'completion', 'TTFT p50', 'p95'];
    const rows = data.map((row) => [
      ...by.map((name) =>
        name === 'hour' ? new Date(Number(row.hour) * 1000).toISOString().slice(0, 13) : row[name],
      ),
      row.requests,
      row.errors,
      row.prompt_tokens,
      row.cached_tokens,
      row.completion_tokens,
      quantile(row.ttft_ms, 0.5),
      quantile(row.ttft_ms, 0.95),
    ]);
    say(table(heads, rows));
  }
  return 0;
}

/** The bound below which so many lie, since a histogram knows no more; `–` without any. */
function quantile({ bounds, counts }: Histogram, share: number): string {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return '–';
  let left = share * total;
  const at = counts.findIndex((count) => {
    left -= count;
    return left <= 0;
  });
  return at < bounds.length ? `≤ ${bounds[at]} ms` : `> ${bounds.at(-1)} ms`;
}
