/**
 * Who is served next: higher priority first, then the tenant that has been served least, then who came first.
 *
 * Service is counted in tokens, an answer's as two of a prompt's, and nothing for what the prefix cache gave ("virtual
 * token counter", Sheng et al. 2024). A tenant that was away comes back level with the least served of those present:
 * silence saves nothing up.
 */

export interface Queued {
  readonly tenant: string;
  /** Higher goes first. */
  readonly priority: number;
  readonly promptTokens: number;
}

interface Tenant<T> {
  /** By falling priority, then arrival. */
  readonly waiting: T[];
  served: number;
  /** Requests queued or running. */
  present: number;
}

const promptWeight = 1;
const answerWeight = 2;
/** Tenants whose service is remembered while they are away. */
const maxAway = 10_000;

export class FairQueue<T extends Queued> {
  readonly #tenants = new Map<string, Tenant<T>>();
  /** Order of arrival, for tenants that are level. */
  readonly #arrivals = new WeakMap<T, number>();
  #arrived = 0;
  /** The least that anybody present has been served; never falls. */
  #level = 0;
  #size = 0;
  #tokens = 0;

  get size(): number {
    return this.#size;
  }

  /** Prompt tokens of what waits. */
  get tokens(): number {
    return this.#tokens;
  }

  push(item: T): void {
    const tenant = this.#enter(item.tenant);
    const { waiting } = tenant;
    let at = waiting.length;
    while (at > 0 && (waiting[at - 1] as T).priority < item.priority) at--;
    waiting.splice(at, 0, item);
    this.#arrivals.set(item, this.#arrived++);
    this.#size++;
    this.#tokens += item.promptTokens;
  }

  /** Takes out what begins to run; it stays present until `leave`. */
  take(item: T): void {
    const { waiting } = this.#tenants.get(item.tenant) as Tenant<T>;
    waiting.splice(waiting.indexOf(item), 1);
    this.#size--;
    this.#tokens -= item.promptTokens;
  }

  /** After its end, whether it ran or was taken out waiting. */
  leave(item: T): void {
    const tenant = this.#tenants.get(item.tenant) as Tenant<T>;
    tenant.present--;
  }

  chargePrompt(item: T, tokens: number): void {
    (this.#tenants.get(item.tenant) as Tenant<T>).served += promptWeight * tokens;
  }

  chargeAnswer(item: T): void {
    (this.#tenants.get(item.tenant) as Tenant<T>).served += answerWeight;
  }

  /** For sorting what runs: below 0 when `a` is to be served before `b`. Equals stay in their order. */
  compare = (a: T, b: T): number =>
    b.priority - a.priority || (a.tenant === b.tenant ? 0 : this.#served(a.tenant) - this.#served(b.tenant));

  /** What waits, first to be served first, as if each prompt counted as served from then on. Changes nothing. */
  *order(): Generator<T, undefined, undefined> {
    const cursors = [];
    for (const { waiting, served } of this.#tenants.values())
      if (waiting.length > 0) cursors.push({ items: [...waiting], next: 0, served });
    for (;;) {
      let best: T | undefined;
      let from: (typeof cursors)[number] | undefined;
      for (const cursor of cursors) {
        const item = cursor.items[cursor.next];
        if (!item || (best && from && this.#order(best, from.served, item, cursor.served) <= 0)) continue;
        best = item;
        from = cursor;
      }
      if (!best || !from) return;
      from.next++;
      from.served += promptWeight * best.promptTokens;
      yield best;
    }
  }

  *[Symbol.iterator](): Generator<T, undefined, undefined> {
    for (const { waiting } of this.#tenants.values()) yield* [...waiting];
  }

  #order(a: T, servedA: number, b: T, servedB: number): number {
    const arrival = (item: T) => this.#arrivals.get(item) as number;
    return b.priority - a.priority || servedA - servedB || arrival(a) - arrival(b);
  }

  #served(tenant: string): number {
    return this.#tenants.get(tenant)?.served ?? 0;
  }

  #enter(name: string): Tenant<T> {
    let tenant = this.#tenants.get(name);
    if (!tenant) {
      if (this.#tenants.size >= maxAway) this.#forgetAway();
      tenant = { waiting: [], served: 0, present: 0 };
      this.#tenants.set(name, tenant);
    }
    if (tenant.present++ === 0) {
      let least = Number.POSITIVE_INFINITY;
      for (const other of this.#tenants.values())
        if (other !== tenant && other.present > 0) least = Math.min(least, other.served);
      if (least < Number.POSITIVE_INFINITY) this.#level = Math.max(this.#level, least);
      tenant.served = Math.max(tenant.served, this.#level);
    }
    return tenant;
  }

  #forgetAway(): void {
    for (const [name, { present }] of this.#tenants) if (present === 0) this.#tenants.delete(name);
  }
}
