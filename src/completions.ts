/** From a validated request to its answer: limits → route → relay or collect → meter. */
import type { GenerateRequest, Segment } from 'huozi-gpu-backend/protocol';
import { burst } from './burst/burst.ts';
import { type Endpoint, endpointFor } from './burst/settings.ts';
import type { Call } from './call.ts';
import { collect } from './collect.ts';
import { EdgeError, errorEvent, type Problem } from './errors.ts';
import type { Exchange, Retelling } from './exchange.ts';
import type { Generation } from './generation-fields.ts';
import { randomHex } from './hex.ts';
import type { Kept, Production } from './kept.ts';
import { tenantOf } from './key.ts';
import { authorise } from './keys/ask-key.ts';
import { holdAgain, reserve } from './limits/reservation.ts';
import { nodesDefaultMaxTokens, tokenBound } from './limits/token-bound.ts';
import { meterFailure } from './meter.ts';
import { type Moves, setMoveHeaders } from './moves.ts';
import { adapterOf, type KnownNode, nodesServing } from './nodes.ts';
import { pump, relay } from './relay.ts';
import { isForWantOfNodes, Route } from './route.ts';
import { askForTokens } from './tokenize.ts';
import type { Shorten } from './truncation.ts';

/** An answer that takes longer is given up. */
const defaultDeadlineSeconds = 900;

export interface Shape extends Pick<GenerateRequest['events'], 'object' | 'role'> {
  /** What the client calls the prompt. */
  promptField: 'messages' | 'prompt' | 'input';
  /** Of the answer; by default one is made up. */
  id?: string;
  /** See Exchange. */
  retell?: () => Retelling;
  /** Asked where the prompt is too long for the context. */
  shorten?: Shorten | undefined;
}

/** Throws an EdgeError as long as nothing of the answer has been sent. */
export function complete(
  call: Call,
  generation: Generation,
  prompt: Segment[],
  shape: Shape,
): Promise<Response> {
  const response = respond(call, generation, prompt, shape);
  // A client that leaves before the response has begun ends everything that is not waited for.
  call.waitUntil(response.catch(() => undefined));
  return response;
}

async function respond(
  call: Call,
  generation: Generation,
  prompt: Segment[],
  shape: Shape,
): Promise<Response> {
  const { model, stream, maxTokens, options } = generation;
  const endpoint = endpointFor(call.env, model);
  const nodes = await nodesFor(call, model, endpoint);
  const adapter = nodes[0] && adapterOf(nodes[0].info!, model);
  const request = await generateRequest(call, generation, prompt, shape, adapter);
  const { id } = request.events;
  const contexts = nodes.map((node) => node.info!.context_length);
  const longest = Math.max(endpoint?.contextLength ?? 0, ...contexts);
  const tokens = tokenBound(prompt, maxTokens, longest, options.n);
  const reserving = reserve(call, { id, model, tokens, priority: options.priority !== undefined });
  // Until the object answers, all is made ready to ask a node; none is asked before.
  const { left, release } = leaving(call, request.deadline_ms!);
  const { shorten } = shape;
  const current = () => nodesServing(call, model);
  const fields = { prompt: shape.promptField, format: generation.formatField };
  const moves: Moves = { retries: 0, migrations: 0 };
  let route = new Route(call, current, request, fields, left.signal, moves);
  const reservation = await reserving.catch((error) => {
    release();
    throw error;
  });
  const open = async () => {
    try {
      return await route.open(!endpoint);
    } catch (error) {
      if (!shorten || !isTooLong(error)) throw error;
      const { tokens } = await askForTokens(call, nodes, prompt, left.signal);
      // Any of the nodes shall be able to take it, with the answer that is asked for or a good part of one.
      const context = Math.min(...contexts);
      const answer = Math.min(maxTokens ?? nodesDefaultMaxTokens, Math.ceil(context / 4));
      const shorter = shorten(tokens, context - answer);
      if (!shorter) throw error;
      route = new Route(call, current, { ...request, prompt: shorter }, fields, left.signal, moves);
      return await route.open();
    }
  };
  const openSomewhere = async () => {
    if (!endpoint) return await open();
    const elsewhere = () => burst(call, endpoint, request, nodes, left.signal);
    const isLate = route.expectedWait(nodes) >= endpoint.waitSeconds;
    const late = isLate ? await elsewhere() : undefined;
    if (late) return late;
    return await open().catch(async (error) => {
      const leg = !isLate && mayBurst(error) ? await elsewhere() : undefined;
      if (leg) return leg;
      throw error;
    });
  };
  const exchange = exchangeOf(call, { id, model, reservation, moves }, left, () => route, shape.retell);
  const leg = await call.timing.measure('node', openSomewhere()).catch((error) => {
    const problem = error instanceof EdgeError ? error.problem : undefined;
    call.waitUntil(meterFailure(call, { ...exchange.answer, stream, route, problem }));
    setMoveHeaders(call.responseHeaders, moves);
    release();
    throw error;
  });
  setMoveHeaders(call.responseHeaders, moves);
  const { lease, renewMs } = reservation;
  // Without the tokens' ids nobody can go on.
  const again = leg.upstream === 'burst' ? undefined : { ...request, prompt: route.prompt };
  call.kept?.begun(again && { request: again, fields, lease, renewMs }, release);
  return stream ? relay(exchange, leg) : collect(exchange, leg);
}

/**
 * Goes on with a stream whose worker was lost, or that no node could take.
 * @param told the answer so far, see Route
 * @param retelling in the middle of it, see Exchange
 */
export async function goOn(
  call: Call,
  production: Production,
  told: { ids: readonly number[]; endTold: number },
  retelling: Retelling | undefined,
): Promise<void> {
  const { request, fields, lease, renewMs } = production;
  const { id, model } = request.events;
  const kept = call.kept!;
  const { left, release } = leaving(call, request.deadline_ms!);
  const moves: Moves = { retries: 0, migrations: 0 };
  const route = new Route(call, () => nodesServing(call, model), request, fields, left.signal, moves, told);
  const reservation = await holdAgain(call, lease, renewMs);
  const exchange = exchangeOf(
    call,
    { id, model, reservation, moves },
    left,
    () => route,
    retelling && (() => retelling),
  );
  kept.begun(production, release);
  try {
    if (!route.canBegin) throw new EdgeError({ kind: 'node_lost' });
    await pump(exchange, await route.open(), kept);
  } catch (error) {
    const problem: Problem = error instanceof EdgeError ? error.problem : { kind: 'internal' };
    if (kept.ending(problem, isForWantOfNodes(error))) return reservation.letGo();
    await meterFailure(call, { ...exchange.answer, stream: true, route, problem });
    await tellFailure(kept, problem, retelling);
  }
}

/** After `ending`. */
export async function tellFailure(
  kept: Kept,
  problem: Problem,
  retelling: Retelling | undefined,
): Promise<void> {
  const last = retelling ? await retelling.end(problem) : errorEvent(problem);
  kept.write(new TextEncoder().encode(last));
  await kept.end();
}

/** Aborts when the client leaves, and when the answer takes too long. */
function leaving(
  { client, startedAt }: Call,
  deadlineMs: number,
): { left: AbortController; release(): void } {
  const left = new AbortController();
  if (client.aborted) left.abort(client.reason);
  client.addEventListener('abort', () => left.abort(client.reason));
  const leave = () => left.abort(new EdgeError({ kind: 'deadline_exceeded' }));
  const leftMs = startedAt + deadlineMs - Date.now();
  if (leftMs <= 0) leave();
  const deadline = setTimeout(leave, leftMs);
  return { left, release: () => clearTimeout(deadline) };
}

function exchangeOf(
  call: Call,
  answer: Exchange['answer'],
  left: AbortController,
  route: () => Route,
  retell: Shape['retell'],
): Exchange {
  return {
    call,
    answer,
    left,
    retell,
    async another(lost, startOver) {
      if (left.signal.aborted || lost.isFinal || lost.upstream === 'burst') return undefined;
      lost.abandon();
      return await route().goOn(lost, startOver);
    },
    get stranded() {
      return route().stranded;
    },
  };
}

/** What the nodes say of a model is for those alone whose key may use it. */
async function nodesFor(call: Call, model: string, endpoint: Endpoint | undefined): Promise<KnownNode[]> {
  try {
    return await nodesServing(call, model);
  } catch (error) {
    if (endpoint && mayBurst(error)) return [];
    await authorise(call, 'inference', model);
    throw error;
  }
}

/** Whether it is for want of nodes, or of room on them. */
function mayBurst(error: unknown): boolean {
  if (!(error instanceof EdgeError)) return false;
  const { kind } = error.problem;
  return kind === 'overloaded' || kind === 'no_node_available' || kind === 'model_not_found';
}

function isTooLong(error: unknown): boolean {
  return error instanceof EdgeError && error.problem.kind === 'context_length_exceeded';
}

async function generateRequest(
  { env, keyId, kept }: Call,
  generation: Generation,
  prompt: Segment[],
  { object, role, id }: Shape,
  adapter: string | undefined,
): Promise<GenerateRequest> {
  const { stream, maxTokens } = generation;
  const prefix = object === 'chat.completion' ? 'chatcmpl' : 'cmpl';
  return {
    prompt,
    sampling: generation.sampling,
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    stop: generation.stop,
    stop_token_ids: generation.stopTokenIds,
    ignore_eos: generation.ignoreEos,
    ...generation.options,
    ...(adapter !== undefined && { adapter }),
    tenant: await tenantOf(env.KEY_SECRET, keyId),
    deadline_ms: (Number(env.DEADLINE_SECONDS) || defaultDeadlineSeconds) * 1000,
    events: {
      object,
      id: id ?? kept?.answerId ?? `${prefix}-${randomHex(16)}`,
      model: generation.model,
      created: Math.floor(Date.now() / 1000),
      role,
      // An answer in one piece is put together from the same events, see collect.ts.
      stream: true,
      include_usage: !stream || generation.includeUsage,
    },
  };
}
