/**
 * What can go wrong at the edge, and the one place that turns it into OpenAI's error shape.
 * Rich inside, vague outside: nothing that a node said reaches a client, except through a problem named here.
 */
import type { ErrorBody } from 'huozi-gpu-backend/protocol';

/** `retryAfter` is in seconds. */
export type Problem =
  | { kind: 'invalid_request'; param: string; message: string }
  | { kind: 'invalid_json'; message: string }
  | { kind: 'body_too_large'; limit: number }
  | { kind: 'invalid_key' }
  | { kind: 'key_revoked' }
  | { kind: 'key_expired' }
  | { kind: 'missing_scope'; scope: string }
  | { kind: 'model_not_allowed'; model: string }
  | { kind: 'too_many_failed_keys'; retryAfter: number }
  | { kind: 'rate_limited'; what: LimitedThing; limit: number; asked: number; retryAfter: number | undefined }
  | { kind: 'quota_exceeded'; period: 'day' | 'month'; limit: number; asked: number }
  | { kind: 'keys_unavailable' }
  | { kind: 'invalid_admin_token' }
  | { kind: 'invalid_signature' }
  | { kind: 'key_not_found' }
  | { kind: 'response_not_found'; id: string; param: string }
  | { kind: 'responses_unavailable' }
  | { kind: 'stream_not_found'; id: string }
  | { kind: 'event_not_found'; param?: 'starting_after' | undefined }
  | { kind: 'stream_interrupted' }
  | { kind: 'streams_unavailable' }
  | { kind: 'idempotency_key_reused' }
  | { kind: 'unknown_url'; method: string; path: string }
  | { kind: 'method_not_allowed'; method: string; allow: string }
  | { kind: 'model_not_found'; model: string }
  | { kind: 'context_length_exceeded'; param: string; message: string }
  | { kind: 'no_node_available'; retryAfter: number }
  | { kind: 'overloaded'; retryAfter: number }
  | { kind: 'deadline_exceeded' }
  | { kind: 'client_gone' }
  | { kind: 'generation_cancelled' }
  | { kind: 'node_lost' }
  | { kind: 'upstream_error' }
  | { kind: 'upstream_misconfigured' }
  | { kind: 'edge_misconfigured' }
  | { kind: 'internal' };

type LimitedThing = 'requests' | 'tokens' | 'concurrent_requests';

export class EdgeError extends Error {
  override readonly name = 'EdgeError';
  readonly problem: Problem;

  /** @param detail for the log only */
  constructor(problem: Problem, detail?: string) {
    super(detail ?? problem.kind);
    this.problem = problem;
  }
}

/** Refuses a request for one of its fields, as the client calls it. */
export function refuse(param: string, why: string): never {
  throw new EdgeError({ kind: 'invalid_request', param, message: `${param}: ${why}` });
}

/** Why a signal was aborted; one that says nothing else speaks of its client. */
export function whyStopped({ reason }: AbortSignal): Problem {
  return reason instanceof EdgeError ? reason.problem : { kind: 'client_gone' };
}

/** What a node's error event says, in the edge's words. */
export function nodesProblem(code: string | undefined): Problem {
  switch (code) {
    case 'generation_cancelled':
    case 'deadline_exceeded':
      return { kind: code };
    case 'node_draining':
    case 'model_loading':
    case 'engine_restarting':
      return { kind: 'node_lost' };
    default:
      return { kind: 'upstream_error' };
  }
}

/** openai's client obeys no longer wait: it retries at once instead. */
const longestRetryAfter = 60;

interface WireError {
  status: number;
  type: string;
  code: string | null;
  message: string;
  param?: string;
  headers?: Record<string, string>;
}

function wire(problem: Problem): WireError {
  switch (problem.kind) {
    case 'invalid_request':
      return { ...badRequest, message: problem.message, param: problem.param };
    case 'invalid_json':
      return { ...badRequest, message: problem.message, param: 'body', code: 'invalid_json' };
    case 'body_too_large':
      return {
        ...badRequest,
        status: 413,
        message: `The request body is larger than ${problem.limit} bytes.`,
        param: 'body',
        code: 'body_too_large',
      };
    case 'invalid_key':
      return {
        ...badRequest,
        status: 401,
        message: 'No valid API key was given. Send one as "Authorization: Bearer hz_…".',
        code: 'invalid_api_key',
        headers: { 'www-authenticate': 'Bearer' },
      };
    case 'key_revoked':
      return {
        ...badRequest,
        status: 401,
        message: 'This API key has been revoked.',
        code: 'invalid_api_key',
      };
    case 'key_expired':
      return { ...badRequest, status: 401, message: 'This API key has expired.', code: 'invalid_api_key' };
    case 'missing_scope':
      return {
        ...badRequest,
        status: 403,
        message: `This API key lacks the scope "${problem.scope}".`,
        code: problem.kind,
      };
    case 'model_not_allowed':
      return {
        ...badRequest,
        status: 403,
        message: `This API key may not use the model ${JSON.stringify(problem.model)}.`,
        param: 'model',
        code: problem.kind,
      };
    case 'too_many_failed_keys':
      return {
        ...rateLimit,
        message: 'Too many keys from this address were refused.',
        code: problem.kind,
        headers: { ...retryAfter(problem.retryAfter), ...noRetry },
      };
    case 'rate_limited':
      return rateLimited(problem);
    case 'quota_exceeded':
      return {
        status: 429,
        type: 'insufficient_quota',
        message: `The tokens of this ${problem.period} are used up: the limit is ${problem.limit}, and the request may use ${problem.asked} more.`,
        code: 'insufficient_quota',
        headers: noRetry,
      };
    case 'keys_unavailable':
      return {
        ...serverError,
        status: 503,
        message: 'Keys cannot be checked at the moment.',
        code: problem.kind,
        headers: retryAfter(1),
      };
    case 'invalid_admin_token':
      return {
        ...badRequest,
        status: 401,
        message: 'The admin API needs its token: "Authorization: Bearer …".',
        code: problem.kind,
        headers: { 'www-authenticate': 'Bearer' },
      };
    case 'invalid_signature':
      return {
        ...badRequest,
        status: 401,
        message: 'The signature does not fit: nodes sign with the token that they share with the edge.',
        code: problem.kind,
      };
    case 'key_not_found':
      return {
        ...badRequest,
        status: 404,
        message: 'There is no such key.',
        param: 'id',
        code: problem.kind,
      };
    case 'response_not_found':
      return {
        ...badRequest,
        status: 404,
        message: `There is no response ${JSON.stringify(problem.id.slice(0, 64))}.`,
        param: problem.param,
        code: problem.param === 'previous_response_id' ? 'previous_response_not_found' : problem.kind,
      };
    case 'responses_unavailable':
      return {
        ...serverError,
        status: 503,
        message: 'Stored responses cannot be reached at the moment.',
        code: problem.kind,
        headers: retryAfter(1),
      };
    case 'stream_not_found':
      return {
        ...badRequest,
        status: 404,
        message: `There is no stream ${JSON.stringify(problem.id.slice(0, 80))} that could be read (any more).`,
        param: 'id',
        code: problem.kind,
      };
    case 'event_not_found':
      return {
        ...badRequest,
        message: problem.param
          ? `${problem.param}: no event of this response has that sequence_number (yet).`
          : 'after: no event of this stream has that number (yet). It comes as ?after= or as Last-Event-ID.',
        param: problem.param ?? 'after',
        code: problem.kind,
      };
    case 'stream_interrupted':
      return {
        ...serverError,
        status: 503,
        message: 'No node can go on with the answer at the moment. Ask for the rest with the last id.',
        code: problem.kind,
      };
    case 'streams_unavailable':
      return {
        ...serverError,
        status: 503,
        message: 'Stored answers cannot be reached at the moment.',
        code: problem.kind,
        headers: retryAfter(1),
      };
    case 'idempotency_key_reused':
      return {
        ...badRequest,
        status: 409,
        message: 'This idempotency key was used for another request.',
        param: 'Idempotency-Key',
        code: problem.kind,
        headers: noRetry,
      };
    case 'unknown_url':
      return {
        ...badRequest,
        status: 404,
        message: `Unknown URL (${problem.method} ${problem.path}).`,
        code: 'unknown_url',
      };
    case 'method_not_allowed':
      return {
        ...badRequest,
        status: 405,
        message: `${problem.method} is not allowed here; use ${problem.allow}.`,
        code: 'method_not_allowed',
        headers: { allow: problem.allow },
      };
    case 'model_not_found':
      return {
        ...badRequest,
        status: 404,
        message: `The model ${JSON.stringify(problem.model)} is not served here. GET /v1/models lists those that are.`,
        param: 'model',
        code: 'model_not_found',
      };
    case 'context_length_exceeded':
      return { ...badRequest, message: problem.message, param: problem.param, code: problem.kind };
    case 'no_node_available':
      return {
        ...serverError,
        status: 503,
        message: 'No node can take the request at the moment.',
        code: problem.kind,
        headers: retryAfter(problem.retryAfter),
      };
    case 'overloaded':
      return {
        ...rateLimit,
        message: 'Every node is busy and its queue is full.',
        code: problem.kind,
        headers: retryAfter(problem.retryAfter),
      };
    case 'deadline_exceeded':
      return {
        ...serverError,
        status: 504,
        message: 'The answer took longer than it may take.',
        code: problem.kind,
        headers: noRetry,
      };
    case 'client_gone':
      return { ...badRequest, status: 499, message: 'The client has left.', code: problem.kind };
    case 'generation_cancelled':
      return { ...badRequest, status: 499, message: 'The generation was cancelled.', code: problem.kind };
    case 'node_lost':
      return {
        ...serverError,
        message: 'The node was lost before the answer was complete.',
        code: problem.kind,
      };
    case 'upstream_error':
      return { ...serverError, message: 'The node could not answer.', code: problem.kind };
    case 'upstream_misconfigured':
      return {
        ...serverError,
        message: 'The node refused the edge. The operator has been told.',
        code: problem.kind,
        headers: noRetry,
      };
    case 'edge_misconfigured':
      return {
        ...serverError,
        status: 500,
        message: 'The edge is not configured. The operator has been told.',
        code: problem.kind,
        headers: noRetry,
      };
    case 'internal':
      return { ...serverError, status: 500, message: 'The edge failed.', code: problem.kind };
    default:
      return problem satisfies never;
  }
}

const badRequest = { status: 400, type: 'invalid_request_error', code: null };
const rateLimit = { status: 429, type: 'rate_limit_error' };
const serverError = { status: 502, type: 'server_error' };
/** openai's clients read it: trying again cannot help. */
const noRetry = { 'x-should-retry': 'false' };

/** The type says which limit it was, as OpenAI's does. */
function rateLimited({
  what,
  limit,
  asked,
  retryAfter: wait,
}: Problem & { kind: 'rate_limited' }): WireError {
  const numbers = {
    requests: `The limit is ${limit} requests a minute.`,
    tokens: `The limit is ${limit} tokens a minute, and the request may use ${asked} more.`,
    concurrent_requests: `The limit is ${limit} answers at the same time.`,
  }[what];
  return {
    status: 429,
    type: what,
    message: `Rate limit reached. ${numbers}`,
    code: 'rate_limit_exceeded',
    headers: wait === undefined ? noRetry : { ...retryAfter(wait), 'x-should-retry': 'true' },
  };
}

function retryAfter(seconds: number): Record<string, string> {
  return { 'retry-after': String(Math.min(longestRetryAfter, Math.max(1, Math.ceil(seconds)))) };
}

/** Whether the operator must look at it. */
export function isOperatorsProblem(problem: Problem): boolean {
  return wire(problem).status >= 500;
}

export function errorBody(problem: Problem): ErrorBody {
  const { message, type, param, code } = wire(problem);
  return { error: { message, type, param: param ?? null, code } };
}

export function errorResponse(problem: Problem): Response {
  const { status, headers } = wire(problem);
  return Response.json(errorBody(problem), headers ? { status, headers } : { status });
}

/** An error after the 200: an event of its own, after which the stream ends without `[DONE]`. */
export function errorEvent(problem: Problem): string {
  return `data: ${JSON.stringify(errorBody(problem))}\n\n`;
}
