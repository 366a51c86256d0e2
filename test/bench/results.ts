/** Appends to `results.jsonl`, one figure a line, with the peer that ran beside it. */
import { appendFileSync } from 'node:fs';
import { cpus } from 'node:os';

export interface Result {
  bench: string;
  metric: string;
  ours: number;
  /** What the peer reached in the same run; null when it was not there. */
  peer: number | null;
  /** Who the peer is. */
  against: string;
  unit: string;
}

const file = new URL('./results.jsonl', import.meta.url);
const cpu = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`;

const rounded = (value: number) => Number(value.toPrecision(4));

export function record(result: Result): void {
  const { bench, metric, ours, peer, against, unit } = result;
  const ratio = peer === null ? null : rounded(ours / peer);
  const date = new Date().toISOString();
  const line = {
    bench,
    metric,
    ours: rounded(ours),
    peer: peer === null ? null : rounded(peer),
    ratio,
    unit,
    cpu,
    date,
    against,
  };
  appendFileSync(file, `${JSON.stringify(line)}\n`);
  const beside = peer === null ? `(${against} not at hand)` : `${against} ${rounded(peer)}, ratio ${ratio}`;
  process.stdout.write(`${bench.padEnd(28)} ${metric.padEnd(22)} ${rounded(ours)} ${unit}   ${beside}\n`);
}
