/**
 * One answer that outlives its client's connection, named by its key and by the answer's id or the client's
 * idempotency key: so no other key reaches it, and of two requests with one key there is one answer.
 *
 * It is made here, by the same steps as any other. If the object is lost amid that (the worker was killed, moved,
 * updated), what can be resumed goes on from its stored tokens: by the alarm, or when somebody asks for it.
 */
import { DurableObject } from 'cloudflare:workers';
import { answering } from '../answering.ts';
import { parseJson, problemResponse } from '../app.ts';
import type { Call } from '../call.ts';
import { goOn, tellFailure } from '../completions.ts';
import type { Env } from '../env.ts';
import { EdgeError } from '../errors.ts';
import { endEvents } from '../event-bytes.ts';
import { authorise } from '../keys/ask-key.ts';
import { log } from '../log.ts';
import { takeUp } from '../responses/take-up.ts';
import { ServerTiming } from '../server-timing.ts';
import { AnswerStore, type Stored } from './answer-store.ts';
import { asBegun } from './as-begun.ts';
import { Follower } from './follower.ts';
import { Numbering } from './numbering.ts';
import { RunningAnswer, watchMs } from './running-answer.ts';
import type { AnswerStatus, Asked, Followed } from './stream-api.ts';
import { ToldLog } from './told-log.ts';

interface Run {
  answer: RunningAnswer;
  /** Settles when the response has its status; rejects when there is no answer. */
  begun: Promise<unknown>;
}

export class AnswerObject extends DurableObject<Env> {
  readonly #store: AnswerStore;
  #run: Run | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new AnswerStore(ctx.storage);
  }

  override async fetch(request: Request): Promise<Response> {
    const asked = JSON.parse(request.headers.get('x-asked')!) as Asked;
    const headers: Record<string, string> = {};
    try {
      if (request.method === 'GET') return this.#follow(asked);
      return await this.#answer(asked, await request.arrayBuffer(), request.signal, headers);
    } catch (error) {
      const response = problemResponse(error as Error, asked);
      for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
      return response;
    }
  }

  /** Settles when it has ended: how, may have been decided before it was to stop. */
  async stop(): Promise<AnswerStatus | undefined> {
    const known = this.#known();
    if (known?.status !== 'running') return known?.status;
    this.#goOn(known);
    const { answer, begun } = this.#run!;
    answer.stop({ kind: 'generation_cancelled' });
    await begun.then(
      () => answer.over,
      () => undefined,
    );
    // Interrupted, or never begun: either way it does not go on.
    return known.status === 'running' ? 'cancelled' : known.status;
  }

  /** Nobody may read it any more: its response is deleted. */
  async erase(): Promise<void> {
    await this.stop();
    await this.#store.forget();
  }

  /** Goes on with what was lost, or forgets what is over. */
  override async alarm(): Promise<void> {
    const known = this.#known();
    if (!known) return;
    if (known.forgetAt === undefined) {
      this.#goOn(known);
      this.#store.wakeAt(Date.now() + watchMs);
    } else if (known.forgetAt <= Date.now()) {
      await this.#store.forget();
    } else {
      this.#store.wakeAt(known.forgetAt);
    }
  }

  /** Begins the answer, or joins it. */
  async #answer(
    asked: Asked,
    body: ArrayBuffer,
    client: AbortSignal,
    headers: Record<string, string>,
  ): Promise<Response> {
    const known = this.#known();
    const call = this.#callOf(asked, headers);
    if (known) {
      if (known.hash !== asked.hash) throw new EdgeError({ kind: 'idempotency_key_reused' });
      await authorise(call, 'inference');
      headers['idempotent-replayed'] = 'true';
      this.#goOn(known);
    } else {
      this.#run = this.#begin(asked, call, body);
    }
    const run = this.#run;
    if (!run) return this.#reply(known!, asked, headers);
    const leave = run.answer.hold();
    client.addEventListener('abort', leave);
    try {
      await run.begun;
      return await this.#reply(run.answer.stored, asked, headers, run.answer);
    } finally {
      leave();
    }
  }

  /** To whoever asked for the answer: of one in the background without `stream` only that it has begun. */
  #reply(
    stored: Stored,
    asked: Asked,
    headers: Record<string, string>,
    running?: RunningAnswer,
  ): Response | Promise<Response> {
    if (stored.background !== 'polled') return this.#tell(stored, asked, headers, running);
    return asBegun(this.#tell(stored, { ...asked, after: 0 }, headers, running));
  }

  #follow(asked: Followed): Response {
    const known = this.#known();
    if (!known?.resumable) throw new EdgeError({ kind: 'stream_not_found', id: asked.id });
    this.#goOn(known);
    return this.#tell(known, asked, {}, this.#run?.answer);
  }

  #tell(
    stored: Stored,
    { id, after = 0, afterParam }: Followed,
    headers: Record<string, string>,
    running?: RunningAnswer,
  ): Response {
    // What has no numbers is told from its beginning.
    const from = stored.resumable ? after : 0;
    const last = running?.log.last ?? this.#store.lastPiece?.last ?? 0;
    if (from > last) throw new EdgeError({ kind: 'event_not_found', param: afterParam });
    // The status is known before the end is stored, and the end told after it.
    const over = running ? running.log.ended : stored.status !== 'running';
    if (over && from > 0 && from === last) return new Response(null, { status: 204 });
    const all = {
      ...headers,
      ...(isNamed(stored) && { 'x-huozi-stream': `/v1/streams/${id}` }),
      'content-type': stored.contentType,
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    };
    return new Response(running?.follow(from) ?? this.#readStored(last, from), { headers: all });
  }

  #readStored(last: number, after: number): ReadableStream<Uint8Array> {
    const told = new ToldLog(last, true, (n) => this.#store.after(n));
    told.ended = true;
    const follower = new Follower(told, after, new Uint8Array(), () => undefined);
    follower.go();
    return follower.readable;
  }

  #known(): Stored | undefined {
    return this.#run?.answer.stored ?? this.#store.read();
  }

  #begin(asked: Asked, call: Call, body: ArrayBuffer): Run {
    const { requestId, keyId, trace, startedAt } = asked;
    const stored: Stored = {
      status: 'running',
      hash: asked.hash,
      resumable: false,
      contentType: 'application/json',
      origin: { requestId, keyId, trace, startedAt },
      production: undefined,
      forgetAt: undefined,
    };
    const answer = this.#running(stored, asked);
    const make = async () => {
      const json = parseJson(body) as Partial<Record<'resumable' | 'background' | 'stream', unknown>> | null;
      if (json?.background === true) stored.background = json.stream === true ? 'streamed' : 'polled';
      stored.resumable = json?.resumable === true || stored.background !== undefined;
      // Stored before the response is there.
      if (stored.resumable) stored.contentType = 'text/event-stream; charset=utf-8';
      const response = await answering[asked.path]({ ...call, kept: answer, client: answer.stopped }, json);
      stored.contentType = response.headers.get('content-type') ?? stored.contentType;
      // An answer in one piece that was there at once.
      if (response.body) {
        answer.write(new Uint8Array(await response.arrayBuffer()));
        await answer.end();
      }
    };
    const begun = make().catch((error) => {
      this.#run = undefined;
      throw error;
    });
    // Also when everybody has left.
    this.ctx.waitUntil(begun.catch(() => undefined));
    return { answer, begun };
  }

  /** Goes on with an answer that should be running and is not. */
  #goOn(stored: Stored): void {
    if (this.#run || stored.status !== 'running') return;
    const { lastPiece } = this.#store;
    const ids = this.#store.ids();
    const endTold = lastPiece ? endEvents(lastPiece.bytes) : 0;
    const answer = this.#running(stored, undefined, new Numbering(lastPiece?.last, ids.length));
    this.#run = { answer, begun: Promise.resolve() };
    log('stream_goes_on', { request_id: stored.origin.requestId, position: ids.length });
    const call = this.#callOf({ ...stored.origin, keyHash: '' }, {});
    const { production } = stored;
    const role = production?.request.events.role ?? 'assistant';
    const retelling = stored.background && takeUp(call, role, this.#store.events());
    if (!production) {
      const lost = { kind: 'node_lost' } as const;
      answer.ending(lost, false);
      this.ctx.waitUntil(tellFailure(answer, lost, retelling));
      return;
    }
    const kept = { ...call, kept: answer, client: answer.stopped };
    this.ctx.waitUntil(
      goOn(kept, production, { ids, endTold }, retelling).catch(() => {
        // Its key's object cannot be reached, or something that nobody foresaw: the alarm tries again.
        answer.ending({ kind: 'keys_unavailable' }, true);
      }),
    );
  }

  #running(stored: Stored, asked: Asked | undefined, numbering?: Numbering): RunningAnswer {
    const answer: RunningAnswer = new RunningAnswer(this.#store, stored, {
      answerId: asked?.answerId,
      name: asked?.id,
      retentionSeconds: this.env.STREAM_RETENTION_SECONDS,
      numbering,
      onOver: () => {
        this.#run = undefined;
        // Stopped just as it was interrupted.
        if (stored.status === 'running' && answer.stopped.aborted) void this.stop();
      },
    });
    return answer;
  }

  #callOf(
    { requestId, keyId, keyHash, trace, startedAt }: Stored['origin'] & { keyHash: string },
    responseHeaders: Record<string, string>,
  ): Call {
    return {
      env: this.env,
      requestId,
      keyId,
      keyHash,
      responseHeaders,
      timing: new ServerTiming(),
      trace,
      startedAt,
      client: new AbortController().signal,
      waitUntil: (work) => this.ctx.waitUntil(work),
    };
  }
}

/** A response has its own name, and a body in one piece needs none. */
function isNamed({ contentType, background }: Stored): boolean {
  return !background && !contentType.startsWith('application/json');
}
