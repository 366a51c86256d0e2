/**
 * All keys in one Durable Object: for the admin's lists and sums, never on a request's path. It holds copies; what
 * counts is in each key's own object.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../env.ts';
import type { UsageQuery } from '../usage/usage-query.ts';
import { hourOf, type ReportRow, report, type UsageRow } from '../usage/usage-row.ts';
import type { DirectoryApi, ListQuery } from './key-api.ts';
import type { ShownKey } from './key-record.ts';

const keptSeconds = 400 * 86_400;

export class KeyDirectory extends DurableObject<Env> implements DirectoryApi {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS keys (
        position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, name TEXT, shown TEXT
      );
      CREATE TABLE IF NOT EXISTS usage (
        hour INTEGER, key TEXT, model TEXT, row TEXT, PRIMARY KEY (hour, key, model)
      ) WITHOUT ROWID;
    `);
  }

  put(key: ShownKey): void {
    this.#sql.exec(
      `INSERT INTO keys (id, name, shown) VALUES (?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, shown = excluded.shown`,
      key.id,
      key.name,
      JSON.stringify(key),
    );
  }

  list({ limit, after, name }: ListQuery): { data: ShownKey[]; has_more: boolean } {
    const rows = this.#sql
      .exec<{ shown: string }>(
        `SELECT shown FROM keys
         WHERE (?1 IS NULL OR position < (SELECT position FROM keys WHERE id = ?1)) AND (?2 IS NULL OR name = ?2)
         ORDER BY position DESC LIMIT ?3`,
        after ?? null,
        name ?? null,
        limit + 1,
      )
      .toArray();
    return {
      data: rows.slice(0, limit).map((row) => JSON.parse(row.shown) as ShownKey),
      has_more: rows.length > limit,
    };
  }

  recordUsage(key: string, rows: UsageRow[]): void {
    for (const { hour, model, ...row } of rows) {
      this.#sql.exec(
        'INSERT OR REPLACE INTO usage (hour, key, model, row) VALUES (?, ?, ?, ?)',
        hour,
        key,
        model,
        JSON.stringify(row),
      );
    }
    this.#sql.exec('DELETE FROM usage WHERE hour < ?', hourOf(Date.now()) - keptSeconds);
  }

  usage({ from, to, dimensions }: UsageQuery): ReportRow[] {
    const cursor = this.#sql.exec<{ hour: number; key: string; model: string; row: string }>(
      'SELECT hour, key, model, row FROM usage WHERE hour >= ? AND hour < ? ORDER BY hour, key, model',
      from,
      to,
    );
    return report(rowsOf(cursor), dimensions);
  }
}

/** One at a time: a month of many keys need not be in memory together. */
function* rowsOf(
  cursor: Iterable<{ hour: number; key: string; model: string; row: string }>,
): Generator<UsageRow & { key: string }> {
  for (const { hour, key, model, row } of cursor) {
    yield { ...(JSON.parse(row) as Omit<UsageRow, 'model' | 'hour'>), hour, key, model };
  }
}
