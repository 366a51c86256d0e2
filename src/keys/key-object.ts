/**
 * One key's Durable Object: its record, its limits, its leases, its usage. One object a key, so that whatever it
 * decides is exact without a lock anywhere.
 *
 * It decides in memory and writes 20 ms after it has answered, all that came together in one transaction. A write
 * before the answer would hold it back (the output gate: 0.5 to 0.85 ms here, more where storage is replicated). What
 * a crash inside of that time can lose is the reservation alone: the lease is also in the worker's hands, and its
 * charge arrives when the answer ends. Records are different: an admin's change is on disk when it is answered.
 *
 * What is stored, and for how long: ../STORAGE.md.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../env.ts';
import { type Lease, Ledger, type Spending } from '../limits/ledger.ts';
import type { UsageQuery } from '../usage/usage-query.ts';
import {
  countOutcome,
  countUnsettled,
  hourOf,
  type Outcome,
  type ReportRow,
  report,
} from '../usage/usage-row.ts';
import type { Acquired, Authorised, KeyApi, LeaseRequest, OwnUsage } from './key-api.ts';
import { type Credential, judge, type KeyRecord, type KeySettings } from './key-record.ts';
import { directory } from './objects.ts';
import { UsageTable } from './usage-table.ts';

/** A worker that lives renews its leases three times before they run out. */
const defaultLeaseSeconds = 300;
const renewalsPerLease = 3;
/** So much later than an answer's end the directory may hear of its usage. */
const reportDelayMs = 10_000;
const retryDelayMs = 60_000;
/**
 * So long an answer's lease or charge may wait for others to be written with it. A write takes the thread that all
 * requests of a machine share, 0.3 ms for its fsync here, and a write at once falls between a request and its first
 * token. Most short answers end within it, and cost one write and not two.
 */
const writeDelayMs = 20;

export class KeyObject extends DurableObject<Env> implements KeyApi {
  #record: KeyRecord | undefined;
  readonly #ledger: Ledger;
  readonly #usage: UsageTable;
  readonly #leaseMs: number;
  /** What the next write has to write or, where undefined, to delete. */
  readonly #changedLeases = new Map<string, Lease | undefined>();
  #writing = false;
  #alarmAt = Number.POSITIVE_INFINITY;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { kv } = ctx.storage;
    this.#leaseMs = (Number(env.LEASE_SECONDS) || defaultLeaseSeconds) * 1000;
    this.#record = kv.get<KeyRecord>('record');
    const leases = [...kv.list<Lease>({ prefix: 'lease:' })].map(([, lease]) => lease);
    this.#ledger = new Ledger(kv.get<Spending>('spending'), leases);
    this.#usage = new UsageTable(ctx.storage.sql);
  }

  acquire({ id, model, tokens, priority, ...credential }: LeaseRequest): Acquired {
    const now = Date.now();
    const refusal =
      judge(this.#record, { ...credential, model }, now) ??
      (priority ? judge(this.#record, { ...credential, scope: 'priority' }, now) : undefined);
    if (refusal) return { refusal, standings: {} };
    this.#expire(now);
    const { limits } = this.#record!;
    const lease: Lease = { id, model, tokens, expiresAt: now + this.#leaseMs };
    const full = this.#ledger.acquire(limits, lease, now);
    const standings = this.#ledger.standings(limits, now);
    if (full) return { refusal: full, standings };
    this.#changedLeases.set(id, lease);
    this.#writeSoon();
    return { lease, renewMs: this.#leaseMs / renewalsPerLease, standings };
  }

  renew(id: string): number | undefined {
    const now = Date.now();
    this.#expire(now);
    const lease = this.#ledger.renew(id, now + this.#leaseMs);
    if (!lease) return undefined;
    this.#changedLeases.set(id, lease);
    this.#writeSoon();
    return lease.expiresAt;
  }

  settle(lease: Lease, outcome: Outcome): void {
    const now = Date.now();
    this.#expire(now);
    const used = outcome.promptTokens + outcome.completionTokens;
    if (!this.#ledger.settle(lease, used, now)) return;
    this.#changedLeases.set(lease.id, undefined);
    countOutcome(this.#usage.row(lease.model, hourOf(now)), outcome);
    this.#writeSoon();
  }

  authorise(credential: Credential): Authorised {
    const now = Date.now();
    const refusal = judge(this.#record, credential, now);
    if (refusal) return { refusal, models: [], standings: {} };
    this.#expire(now);
    const { limits, models } = this.#record!;
    return { models, standings: this.#ledger.standings(limits, now) };
  }

  ownUsage(credential: Credential, query: UsageQuery): OwnUsage {
    const { refusal, standings } = this.authorise(credential);
    if (refusal) return { refusal };
    const { id, name } = this.#record!;
    return { id, name, standings, data: this.usage(query) };
  }

  usage(query: UsageQuery): ReportRow[] {
    this.#expire(Date.now());
    this.#write();
    const key = this.#record?.id ?? '';
    return report(
      this.#usage.rows(query).map((row) => ({ ...row, key })),
      query.dimensions,
    );
  }

  create(record: KeyRecord): boolean {
    if (this.#record) return false;
    this.#usage.create();
    this.#store(record);
    return true;
  }

  read(): KeyRecord | undefined {
    return this.#record;
  }

  update(settings: Partial<KeySettings>): KeyRecord | undefined {
    return this.#record && this.#store({ ...this.#record, ...settings });
  }

  rotate(hash: string, overlapUntil: number): KeyRecord | undefined {
    return (
      this.#record &&
      this.#store({ ...this.#record, hash, previous: { hash: this.#record.hash, until: overlapUntil } })
    );
  }

  revoke(): KeyRecord | undefined {
    const revoked_at = this.#record?.revoked_at ?? Math.floor(Date.now() / 1000);
    return this.#record && this.#store({ ...this.#record, revoked_at });
  }

  /** Charges what ran out, tells the directory what was used, and comes back while there is more to come. */
  override async alarm(): Promise<void> {
    this.#alarmAt = Number.POSITIVE_INFINITY;
    const now = Date.now();
    this.#expire(now);
    this.#write();
    this.#usage.dropOld(now);
    try {
      await this.#reportUsage();
    } catch {
      this.#wakeAt(now + retryDelayMs);
    }
    if (this.#ledger.underWay > 0) this.#wakeAt(this.#ledger.firstExpiry);
  }

  async #reportUsage(): Promise<void> {
    const rows = this.#usage.unreported();
    if (rows.length === 0 || !this.#record) return;
    await directory(this.env).recordUsage(this.#record.id, rows);
    this.#usage.markReported(rows);
  }

  #expire(now: number): void {
    const expired = this.#ledger.expire(now);
    for (const { id, model, tokens } of expired) {
      countUnsettled(this.#usage.row(model, hourOf(now)), tokens);
      this.#changedLeases.set(id, undefined);
    }
    if (expired.length > 0) this.#writeSoon();
  }

  /** After the answer to whoever asks now, together with all that is asked at the same time. */
  #writeSoon(): void {
    if (this.#writing) return;
    this.#writing = true;
    setTimeout(() => this.#write(), writeDelayMs);
  }

  #write(): void {
    this.#writing = false;
    const { storage } = this.ctx;
    if (this.#changedLeases.size > 0) {
      storage.transactionSync(() => {
        storage.kv.put('spending', this.#ledger.spending);
        for (const [id, lease] of this.#changedLeases) {
          if (lease) storage.kv.put(`lease:${id}`, lease);
          else storage.kv.delete(`lease:${id}`);
        }
        this.#usage.write();
      });
      this.#changedLeases.clear();
      this.#wakeAt(Math.min(Date.now() + reportDelayMs, this.#ledger.firstExpiry));
    }
  }

  #store(record: KeyRecord): KeyRecord {
    this.ctx.storage.kv.put('record', record);
    this.#record = record;
    return record;
  }

  #wakeAt(at: number): void {
    if (at >= this.#alarmAt) return;
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }
}
