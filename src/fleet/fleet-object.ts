/**
 * The fleet's Durable Object: which nodes have announced themselves. In memory, with a copy on disk of who they are,
 * so that an object that was moved knows where to look while the beats come back. See ../STORAGE.md.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../env.ts';
import type { FleetApi } from './fleet-api.ts';
import { type Beat, dropSilent, hear, type Member } from './roster.ts';

export class FleetObject extends DurableObject<Env> implements FleetApi {
  readonly #roster: Map<string, Member>;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const stored = ctx.storage.kv.get<Member[]>('members') ?? [];
    // Each gets the time that a living node needs to be heard again.
    const now = Date.now();
    this.#roster = new Map(stored.map((member) => [member.url, { ...member, heardAt: now }]));
  }

  hear(beat: Beat): number {
    const now = Date.now();
    const left = dropSilent(this.#roster, now);
    const changed = hear(this.#roster, beat, now);
    // Not with every beat: a write for each would cost more than it tells.
    if (left || changed) this.ctx.storage.kv.put('members', [...this.#roster.values()]);
    return this.#roster.size;
  }

  members(): Member[] {
    dropSilent(this.#roster, Date.now());
    return [...this.#roster.values()];
  }
}
