/**
 * Which node takes the request. Nodes are tried one after another until one accepts: what fails before that has
 * shown the client nothing, so it may be tried elsewhere.
 */
import type { ErrorBody, GenerateRequest, NodeUsage } from 'huozi-gpu-backend/protocol';
import type { Call } from './call.ts';
import { EdgeError, type Problem, whyStopped } from './errors.ts';
import { Leg } from './leg.ts';
import { log } from './log.ts';
import { cancel, generate } from './node-api.ts';
import type { KnownNode } from './nodes.ts';

/** A node accepts or refuses at once; queueing comes after its headers. */
const acceptDeadlineMs = 15_000;

/** What the client calls its parts of the request. */
export interface ClientFields {
  prompt: string;
  /** Undefined where it asked for no form of the answer. */
  format: string | undefined;
}

export class Route {
  readonly #call: Call;
  readonly #left: AbortSignal;
  readonly #id: string;
  readonly #body: string;
  readonly #fields: ClientFields;
  readonly #untried: KnownNode[];
  #cancelled: Promise<NodeUsage | undefined> | undefined;
  #refusal: Problem = { kind: 'no_node_available', retryAfter: 5 };

  /** @param left aborts when the client has left, however that was noticed */
  constructor(
    call: Call,
    nodes: readonly KnownNode[],
    request: GenerateRequest,
    fields: ClientFields,
    left: AbortSignal,
  ) {
    this.#call = call;
    this.#left = left;
    this.#id = request.events.id;
    this.#fields = fields;
    this.#body = JSON.stringify(request);
    this.#untried = inTurn(nodes, Math.random());
  }

  /** The next leg, on a node that has not been tried. Throws an EdgeError when none takes the request. */
  async open(): Promise<Leg> {
    for (;;) {
      const node = this.#untried.shift();
      if (!node) throw new EdgeError(this.#refusal);
      const result = await this.#try(node);
      if (result instanceof Leg) return result;
      log('node_refused', {
        request_id: this.#call.requestId,
        trace_id: this.#call.trace.traceId,
        node: node.url,
        problem: result.kind,
      });
      // A refusal that says more than that nobody answered is the one to pass on.
      if (this.#refusal.kind === 'no_node_available') this.#refusal = result;
    }
  }

  /**
   * What the node used that was being asked when the client left: it may have begun without our hearing of it.
   * Undefined when no node was being asked.
   */
  get cancelled(): Promise<NodeUsage | undefined> | undefined {
    return this.#cancelled;
  }

  async #try(node: KnownNode): Promise<Leg | Problem> {
    const abort = new AbortController();
    let leg: Leg | undefined;
    const leave = () => {
      if (leg) {
        leg.cancel();
      } else {
        this.#cancelled = cancel(node, this.#id);
        this.#call.waitUntil(this.#cancelled);
      }
      abort.abort();
    };
    if (this.#left.aborted) throw new EdgeError(whyStopped(this.#left));
    this.#left.addEventListener('abort', leave);
    const deadline = setTimeout(() => abort.abort(), acceptDeadlineMs);
    try {
      const response = await generate(node, this.#body, this.#call, abort.signal);
      if (!isEventStream(response)) return await refusalOf(response, this.#fields);
      leg = new Leg(node, this.#id, response.body, abort);
      return leg;
    } catch (error) {
      if (error instanceof EdgeError) throw error;
      if (this.#left.aborted) throw new EdgeError(whyStopped(this.#left));
      // It may have accepted without our hearing of it.
      this.#call.waitUntil(cancel(node, this.#id));
      return { kind: 'no_node_available', retryAfter: 5 };
    } finally {
      clearTimeout(deadline);
      if (!leg) this.#left.removeEventListener('abort', leave);
    }
  }
}

/** Nodes that answered lately first, and among them a start that spreads requests. `start` is in [0, 1). */
export function inTurn(nodes: readonly KnownNode[], start: number): KnownNode[] {
  const turned = (some: KnownNode[]) => {
    const at = Math.floor(start * some.length);
    return [...some.slice(at), ...some.slice(0, at)];
  };
  return [...turned(nodes.filter((node) => node.up)), ...turned(nodes.filter((node) => !node.up))];
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

/** What only a node can know to be wrong, with the client's name for it; undefined for what the edge let pass by mistake. */
function clientsFault(error: ErrorBody['error'] | undefined, { format }: ClientFields): Problem | undefined {
  if (error?.code === 'invalid_grammar' || error?.code === 'invalid_schema') {
    const param = format ?? 'response_format';
    const what = error.code === 'invalid_grammar' ? 'the grammar' : 'the JSON schema';
    return {
      kind: 'invalid_request',
      param,
      message: `${param}: ${what} is not valid, or uses what is not supported.`,
    };
  }
  const named = String(error?.param).match(/\w+/g);
  const param = tokenFields.find((name) => named?.includes(name));
  if (!param) return undefined;
  return { kind: 'invalid_request', param, message: `${param}: has a token id that the model does not.` };
}

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
