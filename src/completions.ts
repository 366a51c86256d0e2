/** From a validated request to its answer: route → relay or collect → meter. */
import type { GenerateRequest, Segment } from 'huozi-gpu-backend/protocol';
import type { Call } from './call.ts';
import { collect } from './collect.ts';
import type { Exchange } from './exchange.ts';
import type { Generation } from './generation-fields.ts';
import { nodesServing } from './nodes.ts';
import { relay } from './relay.ts';
import { Route } from './route.ts';

/** Throws an EdgeError as long as nothing of the answer has been sent. */
export async function complete(
  call: Call,
  generation: Generation,
  prompt: Segment[],
  shape: Pick<GenerateRequest['events'], 'object' | 'role'>,
): Promise<Response> {
  const { model, stream } = generation;
  const nodes = await nodesServing(call, model);
  const request = generateRequest(generation, prompt, shape);
  const left = new AbortController();
  if (call.client.aborted) left.abort();
  call.client.addEventListener('abort', () => left.abort());
  const route = new Route(call, nodes, request, left.signal);
  const exchange: Exchange = {
    call,
    answer: { id: request.events.id, model },
    left,
    async another(lost) {
      if (left.signal.aborted) return undefined;
      lost.cancel();
      return await route.open().catch(() => undefined);
    },
  };
  const opening = route.open();
  // A client that leaves before the response has begun ends everything that is not waited for.
  call.waitUntil(opening.catch(() => undefined));
  const leg = await opening;
  return stream ? relay(exchange, leg) : collect(exchange, leg);
}

function generateRequest(
  generation: Generation,
  prompt: Segment[],
  { object, role }: Pick<GenerateRequest['events'], 'object' | 'role'>,
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
      id: `${prefix}-${crypto.randomUUID().replaceAll('-', '')}`,
      model: generation.model,
      created: Math.floor(Date.now() / 1000),
      role,
      // An answer in one piece is put together from the same events, see collect.ts.
      stream: true,
      include_usage: !stream || generation.includeUsage,
    },
  };
}
