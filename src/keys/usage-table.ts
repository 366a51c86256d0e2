/** A key's usage in its object's SQLite, one row a model and hour; the current hour's in memory as well. */

import type { UsageQuery } from '../usage/usage-query.ts';
import { emptyRow, hourOf, type UsageRow } from '../usage/usage-row.ts';

const keptSeconds = 400 * 86_400;

/** A row as of some revision; a later one may have been written meanwhile. */
export type RevisedRow = UsageRow & { revision: number };

type Stored = { model: string; hour: number; revision: number; row: string };

export class UsageTable {
  readonly #sql: SqlStorage;
  /** Rows of the current hour, by model. */
  readonly #current = new Map<string, RevisedRow>();
  readonly #changed = new Set<RevisedRow>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Once in a key's life: an object without a key stores nothing. */
  create(): void {
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS usage (
        model TEXT, hour INTEGER, revision INTEGER, reported INTEGER DEFAULT 0, row TEXT, PRIMARY KEY (model, hour)
      ) WITHOUT ROWID`,
    );
  }

  /** To be counted up by the caller; `write` stores it. */
  row(model: string, hour: number): UsageRow {
    let row = this.#current.get(model);
    if (row?.hour !== hour) {
      const [stored] = this.#sql.exec<Stored>(
        'SELECT model, hour, revision, row FROM usage WHERE model = ? AND hour = ?',
        model,
        hour,
      );
      row = stored ? parse(stored) : { ...emptyRow(model, hour), revision: 0 };
      this.#current.set(model, row);
    }
    this.#changed.add(row);
    return row;
  }

  write(): void {
    for (const changed of this.#changed) {
      changed.revision++;
      const { model, hour, revision, ...row } = changed;
      this.#sql.exec(
        'INSERT OR REPLACE INTO usage (model, hour, revision, row) VALUES (?, ?, ?, ?)',
        model,
        hour,
        revision,
        JSON.stringify(row),
      );
    }
    this.#changed.clear();
  }

  rows({ from, to }: Pick<UsageQuery, 'from' | 'to'>): UsageRow[] {
    return this.#select('hour >= ? AND hour < ? ORDER BY hour, model', from, to);
  }

  unreported(): RevisedRow[] {
    return this.#select('reported = 0');
  }

  markReported(rows: readonly RevisedRow[]): void {
    for (const { model, hour, revision } of rows) {
      this.#sql.exec(
        'UPDATE usage SET reported = 1 WHERE model = ? AND hour = ? AND revision = ?',
        model,
        hour,
        revision,
      );
    }
  }

  dropOld(now: number): void {
    const before = hourOf(now) - keptSeconds;
    this.#sql.exec('DELETE FROM usage WHERE hour < ?', before);
  }

  #select(where: string, ...bindings: number[]): RevisedRow[] {
    const rows = this.#sql.exec<Stored>(
      `SELECT model, hour, revision, row FROM usage WHERE ${where}`,
      ...bindings,
    );
    return [...rows].map(parse);
  }
}

function parse({ model, hour, revision, row }: Stored): RevisedRow {
  // A row of an older version may lack a counter.
  return { ...emptyRow(model, hour), ...(JSON.parse(row) as Partial<UsageRow>), model, hour, revision };
}
