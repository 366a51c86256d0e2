/** From a validated request to its answer: limits → route → relay or collect → meter. */
import type { GenerateRequest, Segment } from 'huozi-gpu-backend/protocol';
import type { Call } from './call.ts';
import { collect } from './collect.ts';
import { EdgeError } from './errors.ts';
import type { Exchange, Retelling } from './exchange.ts';
import type { Generation } from './generation-fields.ts';
import { authorise } from './keys/ask-key.ts';
import { reserve } from './limits/reservation.ts';
import { tokenBound } from './limits/token-bound.ts';
import { meterFailure } from './meter.ts';
import { type KnownNode, nodesServing } from './nodes.ts';
import { relay } from './relay.ts';
import { Route } from './route.ts';

export interface Shape extends Pick<GenerateRequest['events'], 'object' | 'role'> {
  /** What the client calls the prompt. */
  promptField: 'messages' | 'prompt' | 'input';
  /** Of the answer; by default one is made up. */
  id?: string;
  /** See Exchange. */
  retell?: () => Retelling;
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
  const { model, stream } = generation;
  const nodes = await nodesFor(call, model);
  const request = generateRequest(generation, prompt, shape);
  const { id } = request.events;
  const longest = Math.max(...nodes.map((node) => node.info!.context_length));
  const tokens = tokenBound(prompt, generation.maxTokens, longest);
  const reservation = await reserve(call, { id, model, tokens });

  const left = new AbortController();
  if (call.client.aborted) left.abort();
  call.client.addEventListener('abort', () => left.abort());
  const route = new Route(call, nodes, request, shape.promptField, left.signal);
  const exchange: Exchange = {
    call,
    answer: { id, model, reservation },
    left,
    retell: shape.retell,
    async another(lost) {
      if (left.signal.aborted || lost.wasCancelled) return undefined;
      lost.cancel();
      return await route.open().catch(() => undefined);
    },
  };
  const leg = await call.timing.measure('node', route.open()).catch((error) => {
    const problem = error instanceof EdgeError ? error.problem : undefined;
    call.waitUntil(meterFailure(call, { ...exchange.answer, stream, route, problem }));
    throw error;
  });
  return stream ? relay(exchange, leg) : collect(exchange, leg);
}

/** What the nodes say of a model is for those alone whose key may use it. */
async function nodesFor(call: Call, model: string): Promise<KnownNode[]> {
  try {
    return await nodesServing(call, model);
  } catch (error) {
    await authorise(call, 'inference', model);
    throw error;
  }
}

function generateRequest(
  generation: Generation,
  prompt: Segment[],
  { object, role, id }: Shape,
): GenerateRequest {
  const { stream, maxTokens } = generation;
  const prefix = object === 'chat.completion' ? 'chatcmpl' : 'cmpl';
  return {
    prompt,
    sampling: generation.sampling,
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    stop: generation.stop,
    stop_token_ids: generation.stopTokenIds,
    ignore_eos: generation.ignoreEos,
    events: {
      object,
      id: id ?? `${prefix}-${crypto.randomUUID().replaceAll('-', '')}`,
      model: generation.model,
      created: Math.floor(Date.now() / 1000),
      role,
      // An answer in one piece is put together from the same events, see collect.ts.
      stream: true,
      include_usage: !stream || generation.includeUsage,
    },
  };
}
