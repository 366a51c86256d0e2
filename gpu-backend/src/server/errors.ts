/** Every error that leaves the node, in one place: rich in the log, vague on the wire. */
import {
  ContinuationError,
  EngineClosedError,
  ExpertsUnavailableError,
  PromptTooLongError,
  QueueFullError,
  UnknownAdapterError,
  UnknownTokenError,
} from '../engine/errors.ts';
import type { GenerationEnd } from '../engine/types.ts';
import { EngineLostError, EngineRestartingError } from '../engine-process/errors.ts';
import { GrammarTooAmbiguousError, InvalidGrammarError, InvalidSchemaError } from '../grammar/errors.ts';
import type { ErrorBody } from '../protocol.ts';
import { UnsupportedFieldError, UpstreamStatusError } from '../upstream/errors.ts';

/** 499, as nginx has it: the request was ended from the client's side. Hono's list lacks it. */
type ErrorStatus = 400 | 401 | 404 | 405 | 408 | 409 | 413 | 417 | 429 | 431 | 499 | 500 | 503 | 504;

interface ApiErrorInit {
  type?: string;
  param?: string;
  code?: string;
  headers?: Record<string, string>;
  cause?: unknown;
}

/** An error with OpenAI's shape and an HTTP status. */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly status: ErrorStatus;
  readonly headers: Record<string, string>;
  readonly body: ErrorBody;

  constructor(status: ErrorStatus, message: string, init: ApiErrorInit = {}) {
    super(message, { cause: init.cause });
    this.status = status;
    this.headers = { ...init.headers };
    const type = init.type ?? (status < 500 ? 'invalid_request_error' : 'server_error');
    this.body = { error: { message, type, param: init.param ?? null, code: init.code ?? null } };
  }
}

/** Seconds after which the edge may ask again: about what loading or handing over takes. */
const retryAfter = { 'retry-after': '5' };

/** From one second to a minute: some clients ignore more, and ask again at once. */
const retryIn = (ms: number) => ({ 'retry-after': String(Math.min(60, Math.max(1, Math.ceil(ms / 1000)))) });

export function unavailable(state: 'loading' | 'draining'): ApiError {
  return state === 'loading'
    ? new ApiError(503, 'The model is still loading.', { code: 'model_loading', headers: retryAfter })
    : new ApiError(503, 'This node is shutting down.', { code: 'node_draining', headers: retryAfter });
}

/** What a handler threw, as the client may see it; the original stays in `cause` for the log. */
export function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof PromptTooLongError) {
    const { promptTokens, maxSequence } = thrown;
    return new ApiError(
      400,
      `This model's maximum context length is ${maxSequence} tokens. However, your prompt has ${promptTokens} tokens, which leaves no room for an answer.`,
      { param: 'prompt', code: 'context_length_exceeded', cause: thrown },
    );
  }
  if (thrown instanceof QueueFullError) {
    return new ApiError(429, 'Too many requests wait here already.', {
      type: 'rate_limit_error',
      code: 'queue_full',
      headers: retryIn(thrown.waitMs),
      cause: thrown,
    });
  }
  if (thrown instanceof EngineRestartingError) {
    return new ApiError(503, 'The engine is being started again.', {
      code: 'engine_restarting',
      headers: retryIn(thrown.retryAfterMs),
      cause: thrown,
    });
  }
  if (thrown instanceof EngineLostError) {
    return new ApiError(503, 'The engine that worked on this was lost.', {
      code: 'engine_lost',
      headers: retryAfter,
      cause: thrown,
    });
  }
  if (thrown instanceof InvalidGrammarError || thrown instanceof GrammarTooAmbiguousError) {
    const init = { param: 'format', code: 'invalid_grammar', cause: thrown };
    return new ApiError(400, `format: the grammar is not valid: ${thrown.message}.`, init);
  }
  if (thrown instanceof InvalidSchemaError) {
    const init = { param: 'format', code: 'invalid_schema', cause: thrown };
    return new ApiError(400, `format: the schema cannot be honoured: ${thrown.message}.`, init);
  }
  if (thrown instanceof UnknownTokenError) {
    const param = 'sampling.logit_bias';
    return new ApiError(400, `${param}: ${thrown.message}.`, { param, code: 'invalid_value', cause: thrown });
  }
  if (thrown instanceof UnknownAdapterError) {
    const init = { param: 'adapter', code: 'unknown_adapter', cause: thrown };
    return new ApiError(400, 'This node does not have the adapter.', init);
  }
  if (thrown instanceof ContinuationError) {
    const init = { param: 'continue_ids', code: 'invalid_value', cause: thrown };
    return new ApiError(400, `These ids are no beginning of an answer: ${thrown.message}.`, init);
  }
  if (thrown instanceof ExpertsUnavailableError) {
    const init = { param: 'return_routed_experts', code: 'experts_unavailable', cause: thrown };
    return new ApiError(400, 'This node cannot tell routed experts.', init);
  }
  if (thrown instanceof UnsupportedFieldError) {
    const init = { param: thrown.param, code: 'unsupported_parameter', cause: thrown };
    return new ApiError(400, `${thrown.param}: ${thrown.message}.`, init);
  }
  if (thrown instanceof UpstreamStatusError && (thrown.status === 400 || thrown.status === 422)) {
    return new ApiError(400, thrown.message, { code: 'refused_by_engine', cause: thrown });
  }
  if (thrown instanceof EngineClosedError) return unavailable('draining');
  return new ApiError(500, 'The node failed to process the request.', {
    code: 'internal_error',
    cause: thrown,
  });
}

/** Who ended a generation early. */
export type CancelCause = 'request' | 'drain' | 'client_gone' | 'slow_reader';

/** Why a generation gave no `finish_reason`, for a client that still listens. */
export function endError(end: GenerationEnd, cause: CancelCause | undefined): ApiError {
  if (end.reason === 'error') return toApiError(end.error);
  if (end.reason === 'deadline') {
    return new ApiError(504, 'The deadline of this request has passed.', { code: 'deadline_exceeded' });
  }
  switch (cause) {
    case 'drain':
    case undefined: // the engine was closed under a running generation
      return unavailable('draining');
    case 'request':
    case 'client_gone':
    case 'slow_reader':
      return new ApiError(499, 'The generation was cancelled.', { code: 'generation_cancelled' });
    default:
      return cause satisfies never;
  }
}
