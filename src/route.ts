/**
 * Which node takes the request. Nodes are tried one after another until one accepts: what fails before that has
 * shown the client nothing, so it may be tried elsewhere. And who goes on when a node is lost with half an answer.
 */
import type { ErrorBody, GenerateRequest } from 'huozi-gpu-backend/protocol';
import type { Call } from './call.ts';
import { EdgeError, type Problem, whyStopped } from './errors.ts';
import { Leg, type Stopped } from './leg.ts';
import { log } from './log.ts';
import type { Moves } from './moves.ts';
import { cancel, generate } from './node-api.ts';
import type { KnownNode } from './nodes.ts';
import { askedOf, choose, report, soonest } from './routing/choose.ts';
import type { Asked } from './routing/policy.ts';

/**
 * A node accepts or refuses at once; queueing comes after its headers. One that does neither hangs. Counted in steps,
 * because a thousand requests at once can hold this isolate up for as long, and then nobody has been listening: that
 * counts as one step.
 */
const defaultAcceptSeconds = 4;
const acceptSteps = 8;
const defaultSilenceSeconds = 5;

/** What the client calls its parts of the request. */
export interface ClientFields {
  prompt: string;
  /** Undefined where it asked for no form of the answer. */
  format: string | undefined;
}
/** Between two rounds of asking all nodes. None begins later than MIGRATION_SECONDS after the first. */
const migrationWaitsMs = [0, 250, 500, 1_000, 2_000, 4_000];
const defaultMigrationSeconds = 8;
/** Legs of one answer that may end without one token: an answer that kills nodes must not go round. */
const fruitlessLegs = 3;
const mostLegs = 20;

export class Route {
  readonly #call: Call;
  readonly #left: AbortSignal;
  readonly #request: GenerateRequest;
  readonly #fields: ClientFields;
  readonly #asked: Asked;
  readonly #nodes: () => Promise<readonly KnownNode[]>;
  readonly #moves: Moves;
  /** Token ids of the answer so far. Legs add to it. */
  readonly #ids: number[];
  readonly #acceptMs: number;
  readonly #silenceMs: number;
  /** Of the first leg, written while the key's object is asked: for a long prompt that takes milliseconds. */
  #body: string | undefined;
  #stranded = false;
  #legs = 0;
  #fruitless = 0;
  #idsBefore = 0;
  /** See Leg. */
  #endTold: number;
  #hasTold: boolean;
  /** Whether the node that was asked last did not take the request. */
  #refused = false;
  #cancelled: Stopped | undefined;

  /**
   * @param nodes those that serve the model, as they are known at that time
   * @param left aborts when the client has left, however that was noticed
   * @param told what is known of the answer so far, where it was begun elsewhere
   */
  constructor(
    call: Call,
    nodes: () => Promise<readonly KnownNode[]>,
    request: GenerateRequest,
    fields: ClientFields,
    left: AbortSignal,
    moves: Moves,
    told: { ids: readonly number[]; endTold: number } = { ids: [], endTold: 0 },
  ) {
    this.#ids = [...told.ids];
    this.#endTold = told.endTold;
    this.#hasTold = told.ids.length > 0;
    this.#call = call;
    this.#nodes = nodes;
    this.#left = left;
    this.#request = request;
    this.#fields = fields;
    this.#moves = moves;
    // Caches are shared within a tenant and adapter.
    this.#asked = askedOf(`${request.tenant ?? ''}${request.adapter ?? ''}`, request.prompt);
    this.#acceptMs = 1_000 * (Number(call.env.ACCEPT_SECONDS) || defaultAcceptSeconds);
    this.#silenceMs = 1_000 * (Number(call.env.SILENCE_SECONDS) || defaultSilenceSeconds);
    this.#body = this.#write();
  }

  /**
   * The first leg. Throws an EdgeError when no node takes the request.
   * @param patient whether to ask again, where nobody answered
   */
  open(patient = true): Promise<Leg> {
    return patient ? this.#inRounds(() => new Set()) : this.#open(new Set());
  }

  /** Seconds to the first token on the node that would be soonest, as far as is known. */
  expectedWait(nodes: readonly KnownNode[]): number {
    return soonest(nodes, this.#asked, Date.now());
  }

  /**
   * The leg that goes on after the tokens so far, on another node than `lost`. Undefined when nobody can: then the
   * answer ends as `lost` did.
   * @param startOver called where it cannot go on, but the answer may begin again: then nothing has been told.
   *   Undefined: it has been.
   */
  async goOn(lost: Leg, startOver?: () => void): Promise<Leg | undefined> {
    if (lost.isFinal) return undefined;
    report(lost.node.url, false, Date.now());
    this.#fruitless = this.#ids.length > this.#idsBefore ? 0 : this.#fruitless + 1;
    if (this.#fruitless >= fruitlessLegs || this.#legs >= mostLegs) return undefined;
    this.#endTold = lost.endTold;
    this.#hasTold ||= lost.hasTold;
    if (!this.#canGoOn(lost)) {
      if (!startOver) return undefined;
      startOver();
      this.#ids.length = 0;
      this.#endTold = 0;
      this.#hasTold = false;
    }
    log('migration', {
      request_id: this.#call.requestId,
      trace_id: this.#call.trace.traceId,
      node: lost.node.url,
      position: this.#ids.length,
      problem: lost.problem?.kind,
    });
    // Once all others have been asked, the one that was lost may have come back.
    const excluded = (wait: number) => (wait < 1_000 ? new Set([lost.node.url]) : new Set<string>());
    const next = await this.#inRounds(excluded).catch((error) => {
      this.#stranded = !this.#left.aborted && isForWantOfNodes(error);
      if (this.#cancelled) lost.succeededBy(this.#cancelled);
      return undefined;
    });
    if (next) this.#moves.migrations++;
    return next;
  }

  /** Asks every node, and again a moment later, as long as it is nobody's refusal but only that nobody answered. */
  async #inRounds(excluded: (wait: number) => Set<string>): Promise<Leg> {
    // By the clock and not by the waits alone: nodes that hang take their time to be given up.
    const until = Date.now() + 1_000 * Number(this.#call.env.MIGRATION_SECONDS ?? defaultMigrationSeconds);
    let refusal: unknown;
    for (const wait of migrationWaitsMs) {
      if (wait > 0 && Date.now() + wait > until) break;
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      if (this.#left.aborted) throw new EdgeError(whyStopped(this.#left));
      try {
        return await this.#open(excluded(wait));
      } catch (error) {
        refusal = error;
        const passes = error instanceof EdgeError && error.problem.kind === 'no_node_available';
        if (!passes && this.#ids.length === 0) break;
      }
    }
    throw refusal;
  }

  /**
   * What the node used that was being asked when the client left: it may have begun without our hearing of it.
   * Undefined when no node was being asked.
   */
  get cancelled(): Stopped | undefined {
    return this.#cancelled;
  }

  /** Whether `goOn` gave nothing because nobody could take the answer, and not because of the answer itself. */
  get stranded(): boolean {
    return this.#stranded;
  }

  /** False where half an answer was told that cannot be gone on with: choices told at once share one list of ids. */
  get canBegin(): boolean {
    return !this.#hasTold || (this.#request.n ?? 1) === 1;
  }

  get prompt(): GenerateRequest['prompt'] {
    return this.#request.prompt;
  }

  /** Tokens of the answer so far. */
  get position(): number {
    return this.#ids.length;
  }

  #canGoOn(lost: Leg): boolean {
    return !this.#hasTold || (this.canBegin && lost.knowsItsTokens);
  }

  async #open(tried: Set<string>): Promise<Leg> {
    const nodes = await this.#nodes();
    const body = this.#body ?? this.#write();
    this.#body = undefined;
    let refusal: Problem = { kind: 'no_node_available', retryAfter: 5 };
    for (;;) {
      const node = choose(nodes, this.#asked, tried, Date.now(), this.#call.env.ROUTING);
      if (!node) throw new EdgeError(refusal);
      tried.add(node.url);
      if (this.#refused) this.#moves.retries++;
      this.#refused = false;
      const result = await this.#try(node, body);
      if (result instanceof Leg) {
        this.#legs++;
        this.#idsBefore = this.#ids.length;
        return result;
      }
      log('node_refused', {
        request_id: this.#call.requestId,
        trace_id: this.#call.trace.traceId,
        node: node.url,
        problem: result.kind,
      });
      this.#refused = true;
      // A refusal that says more than that nobody answered is the one to pass on.
      if (refusal.kind === 'no_node_available') refusal = result;
    }
  }

  #write(): string {
    const { deadline_ms } = this.#request;
    return JSON.stringify({
      ...this.#request,
      prefix_keys: this.#asked.keys,
      // Also where there is none yet: then what comes before the first token, role and echo, is not told again.
      ...(this.#hasTold && { continue_ids: this.#ids }),
      // One deadline for the whole answer.
      ...(deadline_ms && { deadline_ms: Math.max(1, deadline_ms - (Date.now() - this.#call.startedAt)) }),
    });
  }

  async #try(node: KnownNode, body: string): Promise<Leg | Problem> {
    const { id } = this.#request.events;
    const abort = new AbortController();
    let leg: Leg | undefined;
    const leave = () => {
      if (leg) {
        leg.cancel();
      } else {
        const usage = cancel(node, id);
        this.#cancelled = { node: node.url, usage };
        this.#call.waitUntil(usage);
        abort.abort();
      }
    };
    if (this.#left.aborted) throw new EdgeError(whyStopped(this.#left));
    this.#left.addEventListener('abort', leave);
    let steps = 0;
    const step = () => {
      if (++steps === acceptSteps) abort.abort();
      else deadline = setTimeout(step, this.#acceptMs / acceptSteps);
    };
    let deadline = setTimeout(step, this.#acceptMs / acceptSteps);
    try {
      const response = await generate(node, body, this.#call, abort.signal);
      if (!isEventStream(response)) {
        const refusal = await refusalOf(response, this.#fields);
        if (refusal.kind !== 'overloaded' && refusal.kind !== 'invalid_request')
          report(node.url, false, Date.now());
        return refusal;
      }
      report(node.url, true, Date.now());
      leg = new Leg(node, id, response.body, abort, this.#silenceMs, this.#ids, this.#endTold);
      return leg;
    } catch (error) {
      if (error instanceof EdgeError) throw error;
      if (this.#left.aborted) throw new EdgeError(whyStopped(this.#left));
      // It may have accepted without our hearing of it.
      this.#call.waitUntil(cancel(node, id));
      report(node.url, false, Date.now());
      return { kind: 'no_node_available', retryAfter: 5 };
    } finally {
      clearTimeout(deadline);
      if (!leg) this.#left.removeEventListener('abort', leave);
    }
  }
}

/** Whether the same may succeed as soon as there are nodes, or room on them. */
export function isForWantOfNodes(error: unknown): boolean {
  const kind = error instanceof EdgeError ? error.problem.kind : undefined;
  return kind === 'no_node_available' || kind === 'overloaded';
}

function isEventStream(response: Response): response is Response & { body: ReadableStream<Uint8Array> } {
  const type = response.headers.get('content-type') ?? '';
  return response.status === 200 && type.startsWith('text/event-stream') && response.body !== null;
}

/** What another node may do better is returned; what lies in the request itself, or may do harm again, is thrown. */
async function refusalOf(response: Response, fields: ClientFields): Promise<Problem> {
  const { status } = response;
  const error = await errorOf(response);
  if (status === 400 && error?.code === 'context_length_exceeded')
    throw new EdgeError(tooLong(error.message, fields.prompt));
  // It had the adapter when it was last asked; others may have it.
  if (status === 400 && error?.code === 'unknown_adapter') {
    return { kind: 'no_node_available', retryAfter: 5 };
  }
  const lacking = status === 400 ? enginesLimit(error, fields) : undefined;
  if (lacking) return lacking;
  const atFault = status === 400 ? clientsFault(error, fields) : undefined;
  if (atFault) throw new EdgeError(atFault);
  if (status === 429) return { kind: 'overloaded', retryAfter: retryAfterOf(response) };
  // 502 and 504 and the numbers from 520 on are what a tunnel or proxy says for a node that is not there.
  if (status === 503 || status === 502 || status === 504 || status >= 520) {
    return { kind: 'no_node_available', retryAfter: retryAfterOf(response) };
  }
  if (status === 401 || status === 403 || status < 400) return { kind: 'upstream_misconfigured' };
  const code = typeof error?.code === 'string' && /^\w{1,64}$/.test(error.code) ? error.code : '';
  throw new EdgeError({ kind: 'upstream_error' }, `node answered ${status} ${code}`);
}

/** What the node's engine cannot do, with the client's name for it. Another node's may be able to. */
function enginesLimit(error: ErrorBody['error'] | undefined, { format }: ClientFields): Problem | undefined {
  if (error?.code !== 'unsupported_parameter' && error?.code !== 'experts_unavailable') return undefined;
  const named = String(error.param).split('.');
  if (named[0] === 'continue_ids') return { kind: 'no_node_available', retryAfter: 5 };
  const field = named.at(-1) === 'dry' ? 'dry_multiplier' : named.at(-1)!;
  const param = format && named[0] === 'format' ? format : field;
  if (!/^\w{1,64}$/.test(param)) return undefined;
  const message = `${param}: is not supported by the engine that serves this model here.`;
  return { kind: 'invalid_request', param, message };
}

/** What only a node can know to be wrong, with the client's name for it; undefined for what the edge let pass by mistake. */
function clientsFault(error: ErrorBody['error'] | undefined, { format }: ClientFields): Problem | undefined {
  const named = String(error?.param).match(/\w+/g);
  if (format && named?.[0] === 'format') {
    const why =
      aboutFormat.exec(String(error?.message))?.[1] ?? 'is not valid, or asks for what is not supported';
    return { kind: 'invalid_request', param: format, message: `${format}: ${why}.` };
  }
  const param = tokenFields.find((name) => named?.includes(name));
  if (!param) return undefined;
  return { kind: 'invalid_request', param, message: `${param}: has a token id that the model does not.` };
}

/** The one sentence of a node's that passes: it speaks of the client's own schema or grammar, and says where. */
const aboutFormat = /^format: (the (?:schema cannot be honoured|grammar is not valid): [^\p{Cc}]{1,400})\.$/u;
const tokenFields = ['logit_bias', 'stop_token_ids'];

async function errorOf(response: Response): Promise<ErrorBody['error'] | undefined> {
  try {
    if (response.status >= 400) return ((await response.json()) as ErrorBody).error;
    await response.body?.cancel();
  } catch {
    // Not a node's error, or cut short: its status says enough.
  }
  return undefined;
}

/** Of the node's sentence only the numbers pass: the context's length, then the prompt's. */
function tooLong(message: unknown, param: string): Problem {
  const [limit, length] = String(message).match(/\d{1,9}/g) ?? [];
  const numbers = limit && length ? `, which is ${limit} tokens; the prompt has ${length}` : '';
  return {
    kind: 'context_length_exceeded',
    param,
    message: `The prompt is longer than this model's context${numbers}.`,
  };
}

function retryAfterOf(response: Response): number {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds : 5;
}
