/** What is known of a key. The key itself is not: only a hash that it can be recognised by. */
import type { KeyLimits } from '../limits/ledger.ts';

/** What a key may be used for. */
export const scopes = ['inference', 'models', 'usage', 'priority', 'telemetry'] as const;
export type Scope = (typeof scopes)[number];

/**
 * Scopes that have to be named: `priority` puts its holder before all others, `telemetry` shows what the traffic of
 * all others does.
 */
const named: readonly Scope[] = ['priority', 'telemetry'];

/** What an admin decides. */
export interface KeySettings {
  name: string;
  limits: KeyLimits;
  /** Null: every model. */
  models: string[] | null;
  /** Null: every scope but those that have to be named. */
  scopes: Scope[] | null;
  labels: Record<string, string>;
  /** Unix seconds; null: never. */
  expires_at: number | null;
}

export interface KeyRecord extends KeySettings {
  id: string;
  /** See `keyHash`. */
  hash: string;
  /** The hash before the last rotation, and until when it still opens. Unix seconds. */
  previous: { hash: string; until: number } | null;
  created_at: number;
  revoked_at: number | null;
}

/** What the admin API shows. */
export interface ShownKey extends KeySettings {
  id: string;
  object: 'key';
  created_at: number;
  revoked_at: number | null;
  /** Until when the key before the last rotation still opens; null when it does not. */
  previous_until: number | null;
}

export type KeyRefusal =
  | { kind: 'invalid_key' }
  | { kind: 'key_revoked' }
  | { kind: 'key_expired' }
  | { kind: 'missing_scope'; scope: Scope }
  | { kind: 'model_not_allowed'; model: string };

/** What a request shows of itself. */
export interface Credential {
  /** Of the key that was shown, see `keyHash`. */
  hash: string;
  scope: Scope;
  /** Undefined where the request names none. */
  model?: string | undefined;
}

/** Why the key does not open this; undefined when it does. `now` is in milliseconds. */
export function judge(
  record: KeyRecord | undefined,
  { hash, scope, model }: Credential,
  now: number,
): KeyRefusal | undefined {
  if (!record || !opens(record, hash, now)) return { kind: 'invalid_key' };
  if (record.revoked_at !== null) return { kind: 'key_revoked' };
  if (record.expires_at !== null && record.expires_at * 1000 <= now) return { kind: 'key_expired' };
  if (record.scopes ? !record.scopes.includes(scope) : named.includes(scope)) {
    return { kind: 'missing_scope', scope };
  }
  if (model !== undefined && record.models && !record.models.includes(model)) {
    return { kind: 'model_not_allowed', model };
  }
  return undefined;
}

/** The hashes are of secrets that nobody can choose, so how long a comparison takes tells nothing of use. */
function opens({ hash, previous }: KeyRecord, shown: string, now: number): boolean {
  return hash === shown || (previous !== null && previous.hash === shown && now < previous.until * 1000);
}

export function show(record: KeyRecord): ShownKey {
  const { hash: _hash, previous, id, ...shown } = record;
  return { id, object: 'key', ...shown, previous_until: previous?.until ?? null };
}
