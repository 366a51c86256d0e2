/** `POST /v1/tokenize`: what a conversation or a text is to the model, without an answer. */
import type { Segment, TokenizeResponse } from 'huozi-gpu-backend/protocol';
import type { Call } from './call.ts';
import { EdgeError, type Problem, refuse } from './errors.ts';
import { randomHex } from './hex.ts';
import { authorise } from './keys/ask-key.ts';
import { reserve } from './limits/reservation.ts';
import { tokenize } from './node-api.ts';
import { inTurn, type KnownNode, knownNodes, nodesServing } from './nodes.ts';
import type { TokenizeRequest } from './tokenize-request.ts';

interface Tokenized {
  count: number;
  /** Longest prompt + answer on every node that serves the model, tokens; as vLLM names it. */
  max_model_len: number;
  tokens: number[];
}

/** Counts as a request that uses no tokens. Throws an EdgeError. */
export async function tokenizePrompt(call: Call, { model, prompt }: TokenizeRequest): Promise<Tokenized> {
  const nodes = await nodesOf(call, model);
  const { info } = nodes[0]!;
  const id = `tok-${randomHex(16)}`;
  const reservation = await reserve(call, { id, model: model ?? info!.model, tokens: 0 });
  let failed = true;
  try {
    const nothingToAsk = prompt.length === 0;
    const { tokens, count } = nothingToAsk
      ? { tokens: [], count: 0 }
      : await askForTokens(call, nodes, prompt, call.client);
    failed = false;
    return { count, max_model_len: Math.min(...nodes.map((node) => node.info!.context_length)), tokens };
  } finally {
    const durationMs = Date.now() - call.startedAt;
    const nothing = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, ttftMs: undefined };
    const moves = { retries: 0, migrations: 0 };
    call.waitUntil(reservation.settle({ ...nothing, ...moves, failed, durationMs }));
  }
}

/** The first answer of the nodes. Throws an EdgeError when none of them gives one. */
export async function askForTokens(
  call: Call,
  nodes: readonly KnownNode[],
  prompt: Segment[],
  signal: AbortSignal,
): Promise<TokenizeResponse> {
  let refusal: Problem = { kind: 'no_node_available', retryAfter: 5 };
  for (const node of inTurn(nodes, Math.random())) {
    const answer = await tokenize(node, prompt, call, signal);
    if (typeof answer !== 'number') return answer;
    if (call.client.aborted) throw new EdgeError({ kind: 'client_gone' });
    // 0: nothing came; 503: it is loading or leaving. Both may be different elsewhere.
    if (answer !== 0 && answer !== 503) refusal = { kind: 'upstream_error' };
  }
  throw new EdgeError(refusal, 'no node tokenises');
}

/** Without a model's name, the nodes of the only one. */
async function nodesOf(call: Call, model: string | undefined): Promise<KnownNode[]> {
  try {
    const name = model ?? (await onlyModel(call));
    return await nodesServing(call, name);
  } catch (error) {
    await authorise(call, 'inference', model);
    throw error;
  }
}

async function onlyModel(call: Call): Promise<string> {
  const names = new Set((await knownNodes(call)).flatMap(({ info }) => (info ? [info.model] : [])));
  const [first] = names;
  if (names.size === 1) return first!;
  if (names.size === 0) throw new EdgeError({ kind: 'no_node_available', retryAfter: 5 });
  return refuse('model', 'this field is required where several models are served.');
}
