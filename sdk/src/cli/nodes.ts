/** `huozi nodes`: what stands behind the edge, as each node says of itself now. */
import { adminOf } from './admin.ts';
import { clientOptions, parse } from './client.ts';
import { say, table, UsageError } from './terminal.ts';

export const help = `huozi nodes [--base-url URL] [--json]

Exit code 1 where no node is up.`;

interface Node {
  url: string;
  up: boolean;
  info: {
    model: string;
    version: string;
    context_length: number;
    slots: number;
    active: number;
    queued: number;
    draining?: boolean;
    kv_used: number;
    kv_total: number;
  } | null;
}

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, clientOptions);
  if (positionals.length > 0) throw new UsageError('huozi nodes takes nothing but options');
  const { data } = await adminOf(values)<{ data: Node[] }>('GET', '/nodes');
  if (values.json) for (const node of data) say(JSON.stringify(node));
  else {
    const heads = ['node', 'state', 'model', 'busy', 'slots', 'queued', 'KV', 'context', 'version'];
    const rows = data.map(({ url, up, info }) => [
      url,
      !up ? 'down' : info?.draining ? 'draining' : 'up',
      info?.model ?? '–',
      info?.active,
      info?.slots,
      info?.queued,
      info && `${Math.round((info.kv_used / info.kv_total) * 100)}%`,
      info?.context_length,
      info?.version ?? '–',
    ]);
    say(table(heads, rows));
  }
  return data.some(({ up }) => up) ? 0 : 1;
}
