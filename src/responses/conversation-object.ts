/**
 * One conversation of one key: its responses, each with its own input and output, so that a later one finds all that
 * was said before it in one round trip. Its name holds the key's id, so no other key reaches it.
 *
 * What is stored is what users said: see ../STORAGE.md. Nothing is stored for a conversation that was only asked for.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../env.ts';
import type { ConversationApi, History, NewResponse, Place } from './conversation-api.ts';
import type { ResponseObject, ResponseStatus } from './response-object.ts';

const defaultDays = 30;
const dayMs = 86_400_000;
/** Bytes of a conversation from which on it takes no further response. */
const fullBytes = 32 * 1024 * 1024;
/** No answer takes so long: one that has not ended by then has lost its worker. */
const abandonedMs = 2 * 3_600_000;

interface Kept {
  previous: string | null;
  /** See Place. */
  answer: string | null;
  status: ResponseStatus;
  json: string;
  /** Milliseconds since 1970. */
  begunAt: number;
}

export class ConversationObject extends DurableObject<Env> implements ConversationApi {
  readonly #kv: SyncKvStorage;
  readonly #keptMs: number;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#kv = ctx.storage.kv;
    this.#keptMs = (Number(env.RESPONSE_DAYS) || defaultDays) * dayMs;
  }

  history(id: string): History {
    const newest = this.#response(id);
    if (!newest) return { refusal: 'not_found' };
    if (newest.status === 'in_progress') return { refusal: 'unfinished' };
    if (this.ctx.storage.sql.databaseSize > fullBytes) return { refusal: 'full' };
    const items: string[] = [];
    for (let at: string | null = id; at !== null; ) {
      const one: Kept | undefined = this.#response(at);
      if (!one) return { refusal: 'ancestor_deleted' };
      items.push(this.#kv.get<string>(`output:${at}`) ?? '[]', this.#kv.get<string>(`input:${at}`) ?? '[]');
      at = one.previous;
    }
    return { items: items.reverse() };
  }

  begin({ id, previous, answer, json, input }: NewResponse): void {
    const begunAt = Date.now();
    this.ctx.storage.transactionSync(() => {
      this.#put(id, { previous, answer, status: 'in_progress', json, begunAt });
      this.#kv.put(`input:${id}`, input);
    });
    void this.ctx.storage.setAlarm(begunAt + this.#keptMs);
  }

  end(id: string, { status, json, output }: { status: ResponseStatus; json: string; output: string }) {
    const kept = this.#response(id);
    if (!kept) return undefined;
    const now = kept.status === 'cancelled' ? kept.status : status;
    this.ctx.storage.transactionSync(() => {
      this.#put(id, { ...kept, status: now, json });
      this.#kv.put(`output:${id}`, output);
    });
    return now;
  }

  read(id: string): string | undefined {
    const kept = this.#response(id);
    if (!kept) return undefined;
    const shown = JSON.parse(kept.json) as ResponseObject;
    shown.output = JSON.parse(this.#kv.get<string>(`output:${id}`) ?? '[]');
    if (kept.status !== shown.status) {
      shown.status = kept.status;
      shown.completed_at = null;
      shown.incomplete_details = null;
      shown.error = kept.status === 'failed' ? abandoned : null;
    }
    return JSON.stringify(shown);
  }

  input(id: string): string | undefined {
    return this.#kv.get<string>(`input:${id}`);
  }

  place(id: string): Place | undefined {
    const kept = this.#response(id);
    return kept && { answer: kept.answer };
  }

  remove(id: string): Place | undefined {
    const place = this.place(id);
    if (!place) return undefined;
    for (const part of ['response', 'input', 'output']) this.#kv.delete(`${part}:${id}`);
    if (this.#kv.list({ prefix: 'response:', limit: 1 })[Symbol.iterator]().next().done) void this.#forget();
    return place;
  }

  cancel(id: string): Place | false | undefined {
    const kept = this.#response(id);
    if (kept?.status !== 'in_progress') return kept && false;
    this.#put(id, { ...kept, status: 'cancelled' });
    return this.place(id);
  }

  /** So long after its last response a conversation is forgotten as a whole. */
  override async alarm(): Promise<void> {
    await this.#forget();
  }

  async #forget(): Promise<void> {
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  #response(id: string): Kept | undefined {
    const kept = this.#kv.get<Kept>(`response:${id}`);
    const lost = kept?.status === 'in_progress' && Date.now() - kept.begunAt > abandonedMs;
    return lost ? { ...kept, status: 'failed' } : kept;
  }

  #put(id: string, kept: Kept): void {
    this.#kv.put(`response:${id}`, kept);
  }
}

const abandoned = { code: 'server_error', message: 'The answer could not be completed.' };
