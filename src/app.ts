import type { Context } from 'hono';
import type { Call } from './call.ts';
import type { Env } from './env.ts';
import { EdgeError, errorResponse, isOperatorsProblem, type Problem } from './errors.ts';
import { log } from './log.ts';

export interface App {
  Bindings: Env;
  /** `client` is taken before anything replaces the request: a copied request's signal does not fire. */
  Variables: Pick<
    Call,
    'requestId' | 'keyId' | 'keyHash' | 'responseHeaders' | 'timing' | 'trace' | 'client'
  >;
}

export function callOf(c: Context<App>): Call {
  return {
    env: c.env,
    requestId: c.get('requestId'),
    keyId: c.get('keyId'),
    keyHash: c.get('keyHash'),
    responseHeaders: c.get('responseHeaders'),
    timing: c.get('timing'),
    trace: c.get('trace'),
    startedAt: Date.now(),
    client: c.get('client'),
    waitUntil: (work) => c.executionCtx.waitUntil(work),
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

/**
 * The body as JSON, whatever its content type says.
 * @param empty what an empty body stands for; by default it is no JSON
 */
export async function readJson(c: Context<App>, empty?: unknown): Promise<unknown> {
  const bytes = await c.req.arrayBuffer();
  return bytes.byteLength === 0 && empty !== undefined ? empty : parseJson(bytes);
}

/** Throws an EdgeError for what is not JSON in UTF-8. */
export function parseJson(bytes: ArrayBuffer): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    // The parser's own message would quote the body.
    throw new EdgeError({ kind: 'invalid_json', message: 'The request body is not valid JSON in UTF-8.' });
  }
}

/** Whatever a step threw, in OpenAI's shape; what the operator must look at also goes to the log. */
export function answerError(error: Error, c: Context<App>): Response {
  return problemResponse(error, { requestId: c.get('requestId'), trace: c.get('trace') });
}

export function problemResponse(
  error: Error,
  { requestId, trace }: Pick<Call, 'requestId' | 'trace'>,
): Response {
  const problem: Problem = error instanceof EdgeError ? error.problem : { kind: 'internal' };
  if (isOperatorsProblem(problem)) {
    const detail = error instanceof EdgeError ? error.message : placeOf(error);
    log('problem', {
      request_id: requestId,
      trace_id: trace.traceId,
      problem: problem.kind,
      detail,
    });
  }
  return errorResponse(problem);
}

/** A stranger's error may quote what it failed on, so its message stays out of the log. */
function placeOf(error: Error): string {
  const frames = (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '));
  return [error.name, ...frames.slice(0, 5).map((line) => line.trim())].join(' ');
}
