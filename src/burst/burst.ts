/**
 * Burst: where the nodes are all full, or none is there, and the operator allows it, a dedicated Hugging Face
 * Inference Endpoint answers. It gets our prompt as one string, in which nothing that was typed can be a control token
 * (huozi-gpu-backend/string-prompt), and its answer is told as a node's would be: what follows does not know the
 * difference. (Pure files of the node's package are imported by their place: its `exports` lead to what is built of it,
 * and a deploy builds the edge alone.) An answer begins there or not at all; a node's that was lost never goes on there.
 */
import type { GenerateRequest, NodeUsage, Segment } from 'huozi-gpu-backend/protocol';
import {
  huoziLiterals,
  huoziMarkers,
  neutraliser,
  stringPrompt,
} from '../../gpu-backend/src/string-prompt.ts';
import type { Call } from '../call.ts';
import { EdgeError, whyStopped } from '../errors.ts';
import { Leg } from '../leg.ts';
import { nodesDefaultMaxTokens } from '../limits/token-bound.ts';
import { log } from '../log.ts';
import type { KnownNode } from '../nodes.ts';
import { askForTokens } from '../tokenize.ts';
import { AnswerStream } from './answer-stream.ts';
import { askEndpoint, EndpointError, type Piece } from './ask-endpoint.ts';
import { parametersFor } from './parameters.ts';
import type { Endpoint } from './settings.ts';

/** An endpoint that has not accepted by then is not there; one that has may take longer to its first token. */
const acceptMs = 4_000;
/** More than the pings that answer-stream.ts writes while it waits for the endpoint. */
const silenceMs = 5_000;
const { neutralise } = neutraliser(huoziLiterals);

/**
 * @param nodes those that serve the model, asked for what the endpoint does not tell; may be none
 * @param left aborts when the client has left, however that was noticed
 * @returns undefined where the endpoint cannot do what is asked, or does not answer. Throws an EdgeError when the
 * client left
 */
export async function burst(
  call: Call,
  endpoint: Endpoint,
  request: GenerateRequest,
  nodes: readonly KnownNode[],
  left: AbortSignal,
): Promise<Leg | undefined> {
  // One BOS, which its tokenizer puts, as Huozi's is configured to.
  const prompt = stringPrompt(request.prompt, { ...huoziMarkers, bos: undefined }, neutralise);
  const room = Math.max(1, endpoint.contextLength - estimate(prompt));
  const parameters = parametersFor(
    endpoint,
    request,
    request.max_tokens ?? Math.min(nodesDefaultMaxTokens, room),
  );
  if (!parameters) return undefined;

  const abort = new AbortController();
  let isAccepted = false;
  const pieces = askEndpoint(endpoint, prompt, parameters, abort.signal, () => {
    isAccepted = true;
  });
  const first = pieces.next();
  first.catch(() => undefined);
  left.addEventListener('abort', () => abort.abort());
  if (left.aborted) abort.abort();
  try {
    // Also one that says its refusal in an event, after its 200, has then not answered.
    const begun = await Promise.race([first, after(acceptMs)]);
    if (begun?.done || !(begun || isAccepted)) throw new EndpointError('nothing came');
  } catch (error) {
    abort.abort();
    if (left.aborted) throw new EdgeError(whyStopped(left));
    const detail = error instanceof EndpointError ? error.message : 'error';
    log('burst_failed', { request_id: call.requestId, trace_id: call.trace.traceId, detail });
    return undefined;
  }

  const stream = new AnswerStream({
    pieces: from(first, pieces),
    events: request.events,
    stop: request.stop,
    stopsThere: parameters.stopsThere,
    countPrompt: () => countPrompt(call, nodes, request.prompt, prompt),
    abort: () => abort.abort(),
  });
  const stop = (): Promise<NodeUsage> => {
    abort.abort();
    return stream.usage('cancelled');
  };
  call.responseHeaders['x-huozi-served-by'] = 'burst';
  const leg = new Leg(
    { url: 'burst', token: '' },
    request.events.id,
    stream.readable,
    abort,
    silenceMs,
    [],
    0,
    stop,
  );
  left.addEventListener('abort', () => leg.cancel());
  return leg;
}

/** The same pieces, of which the first has been asked for. */
async function* from(
  first: Promise<IteratorResult<Piece>>,
  rest: AsyncIterator<Piece>,
): AsyncGenerator<Piece> {
  for (let next = await first; !next.done; next = await rest.next()) yield next.value;
}

/** By a node, and where there is none by the length of the text. */
async function countPrompt(
  call: Call,
  nodes: readonly KnownNode[],
  prompt: Segment[],
  written: string,
): Promise<number> {
  if (nodes.length === 0) return estimate(written);
  const unhurried = new AbortController().signal;
  return await askForTokens(call, nodes, prompt, unhurried).then(
    ({ count }) => count,
    () => estimate(written),
  );
}

/** Tokens: a third of the bytes, which is one a character of Chinese, and more than English has. */
function estimate(text: string): number {
  return Math.ceil(new TextEncoder().encode(text).length / 3);
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
