/** What the worker asks of the Durable Objects. Types alone, so that nothing but index.ts brings their classes in. */
import type { Lease, LimitRefusal, Standings } from '../limits/ledger.ts';
import type { UsageQuery } from '../usage/usage-query.ts';
import type { Outcome, ReportRow, UsageRow } from '../usage/usage-row.ts';
import type { Credential, KeyRecord, KeyRefusal, KeySettings, ShownKey } from './key-record.ts';

export interface LeaseRequest extends Credential {
  /** Of the answer. */
  id: string;
  model: string;
  /** The most that it can use. */
  tokens: number;
  /** Whether it asks to go before others, or lets them go first. */
  priority?: boolean;
}

export type Acquired =
  | { lease: Lease; renewMs: number; standings: Standings }
  | { refusal: KeyRefusal | LimitRefusal; standings: Standings };

export interface Authorised {
  refusal?: KeyRefusal;
  /** Models that the key may use; null: all. */
  models: string[] | null;
  standings: Standings;
}

export type OwnUsage =
  | { refusal: KeyRefusal }
  | { id: string; name: string; standings: Standings; data: ReportRow[] };

/** One key's object. */
export interface KeyApi {
  /** The one round trip before a request is forwarded. Asking twice for the same id asks once. */
  acquire(request: LeaseRequest): Acquired;
  /** For answers that outlast a lease: when it now runs out; undefined when it has. */
  renew(id: string): number | undefined;
  /** The one round trip when an answer has ended, however it did. Twice within a minute counts once. */
  settle(lease: Lease, outcome: Outcome): void;
  /** For what is neither limited nor metered. */
  authorise(credential: Credential): Authorised;
  ownUsage(credential: Credential, query: UsageQuery): OwnUsage;

  // The admin's. Undefined when there is no such key.
  /** False when there is one with this id. */
  create(record: KeyRecord): boolean;
  read(): KeyRecord | undefined;
  update(settings: Partial<KeySettings>): KeyRecord | undefined;
  /** The key before this one opens until `overlapUntil` (unix seconds); the one before that no longer. */
  rotate(hash: string, overlapUntil: number): KeyRecord | undefined;
  revoke(): KeyRecord | undefined;
  usage(query: UsageQuery): ReportRow[];
}

export interface ListQuery {
  limit: number;
  /** Id of the last key of the page before. */
  after?: string | undefined;
  name?: string | undefined;
}

/** The object that lists all keys. */
export interface DirectoryApi {
  put(key: ShownKey): void;
  /** Newest first. */
  list(query: ListQuery): { data: ShownKey[]; has_more: boolean };
  /** Rows replace what was said of their hour before, so hearing them twice changes nothing. */
  recordUsage(key: string, rows: UsageRow[]): void;
  usage(query: UsageQuery): ReportRow[];
}

/** An object as it is seen from outside: every answer takes a round trip. */
export type Remote<Api> = {
  [Name in keyof Api]: Api[Name] extends (...args: infer Args) => infer Answer
    ? (...args: Args) => Promise<Answer>
    : never;
};

/** A binding of `wrangler.toml`. */
export interface Objects<Api> {
  getByName(name: string): Remote<Api>;
}
