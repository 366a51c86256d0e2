/** HTTP with one node, as `huozi-gpu-backend/protocol` has it. Only here does the nodes' token meet a URL. */
import type {
  CancelResponse,
  ExpertTelemetry,
  GenerateRequest,
  NodeInfo,
  NodeUsage,
  Segment,
  TokenizeResponse,
} from 'huozi-gpu-backend/protocol';
import { type Trace, traceparent } from './trace.ts';

export interface NodeAddress {
  /** Without a slash at the end. */
  url: string;
  token: string;
}

/** After so long a node that says nothing about itself, or does not answer a cancel, counts as silent. */
const infoDeadlineMs = 2_000;
const cancelDeadlineMs = 5_000;
const tokenizeDeadlineMs = 15_000;

function call(node: NodeAddress, path: string, init: RequestInit): Promise<Response> {
  return fetch(`${node.url}${path}`, {
    ...init,
    headers: { ...(init.headers as Record<string, string>), authorization: `Bearer ${node.token}` },
    // A redirect would carry the prompt, and perhaps the token, to wherever it points.
    redirect: 'manual',
  });
}

function headersOf(requestId: string, trace: Trace): Record<string, string> {
  return {
    'content-type': 'application/json',
    'x-request-id': requestId,
    traceparent: traceparent(trace),
  };
}

/** The response's headers: a node sends them when it has accepted or refused the request. */
export function generate(
  node: NodeAddress,
  body: string,
  { requestId, trace }: { requestId: string; trace: Trace },
  signal: AbortSignal,
): Promise<Response> {
  return call(node, '/v1/generate', {
    method: 'POST',
    headers: headersOf(requestId, trace),
    body,
    signal,
  });
}

/** The prompt's tokens, or the status that stands in their way; 0 when nothing came. */
export async function tokenize(
  node: NodeAddress,
  prompt: Segment[],
  { requestId, trace }: { requestId: string; trace: Trace },
  signal: AbortSignal,
): Promise<TokenizeResponse | number> {
  try {
    const response = await call(node, '/v1/tokenize', {
      method: 'POST',
      headers: headersOf(requestId, trace),
      body: JSON.stringify({ prompt }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(tokenizeDeadlineMs)]),
    });
    if (response.ok) return (await response.json()) as TokenizeResponse;
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}

/** Frees the sequence. Its usage, or undefined when the node no longer tells. */
export async function cancel(
  node: NodeAddress,
  id: GenerateRequest['events']['id'],
): Promise<NodeUsage | undefined> {
  try {
    const signal = AbortSignal.timeout(cancelDeadlineMs);
    const response = await call(node, `/v1/generate/${id}`, { method: 'DELETE', signal });
    if (!response.ok) {
      await response.body?.cancel();
      return undefined;
    }
    return ((await response.json()) as CancelResponse).usage;
  } catch {
    return undefined;
  }
}

/** What the node says of itself, or undefined when it does not. */
export async function nodeInfo(node: NodeAddress): Promise<NodeInfo | undefined> {
  const info = await look<NodeInfo>(node, '/v1/node');
  return typeof info?.model === 'string' ? info : undefined;
}

/** Where its routers sent tokens, or undefined when it does not say. */
export async function expertTelemetry(node: NodeAddress): Promise<ExpertTelemetry | undefined> {
  const telemetry = await look<ExpertTelemetry>(node, '/v1/experts');
  return Array.isArray(telemetry?.layers) ? telemetry : undefined;
}

async function look<T>(node: NodeAddress, path: string): Promise<T | undefined> {
  try {
    const signal = AbortSignal.timeout(infoDeadlineMs);
    const response = await call(node, path, { signal });
    if (response.ok) return (await response.json()) as T;
    await response.body?.cancel();
    return undefined;
  } catch {
    return undefined;
  }
}
