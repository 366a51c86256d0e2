/** The node's routes. What they share is in `NodeState`; who changes it is node.ts. */
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { type RequestIdVariables, requestId } from 'hono/request-id';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Logger } from 'pino';
import type { ServedEngine } from '../engine/types.ts';
import type { NodeInfo } from '../protocol.ts';
import { version } from '../version.ts';
import { bearerToken } from './auth.ts';
import { ApiError, toApiError } from './errors.ts';
import type { EventStreamOptions } from './event-stream.ts';
import { cancel, generate } from './generate.ts';
import type { Generations } from './generations.ts';
import type { HeldPrefixes } from './held-prefixes.ts';
import type { NodeMetrics } from './metrics.ts';
import { tokenize } from './tokenize.ts';

export interface NodeEnv {
  Bindings: HttpBindings;
  Variables: RequestIdVariables;
}

export interface NodeState {
  readonly name: string;
  readonly token: string;
  readonly log: Logger;
  readonly modelCreated: number | undefined;
  readonly stream: EventStreamOptions;
  readonly generations: Generations;
  readonly prefixes: HeldPrefixes;
  readonly metrics: NodeMetrics;
  readonly ready: boolean;
  readonly draining: boolean;
  /** @throws ApiError (503) while loading, draining, and starting the engine again */
  requireEngine(): ServedEngine;
  /** The engine, also while draining and restarting. @throws ApiError (503) while loading */
  loadedEngine(): ServedEngine;
}

export function createApp(state: NodeState): Hono<NodeEnv> {
  const app = new Hono<NodeEnv>();
  app.use(requestId());
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) => {
        const allow = { allow: methods.join(', ') };
        const { body, status, headers } = new ApiError(405, `Use ${allow.allow} here.`, { headers: allow });
        return c.json(body, status as ContentfulStatusCode, headers);
      },
    }),
  );
  app.get('/healthz', (c) => c.text('ok\n'));
  app.get('/readyz', (c) => (state.ready ? c.text('ready\n') : c.text('not ready\n', 503)));

  const bearer = bearerToken(state.token);
  app.get('/metrics', bearer, async (c) => {
    const { registry } = state.metrics;
    return c.body(await registry.metrics(), 200, { 'content-type': registry.contentType });
  });
  app.use('/v1/*', bearer);
  app.get('/v1/node', (c) => c.json(nodeInfo(state)));
  app.get('/v1/experts', async (c) => c.json(await state.loadedEngine().expertTelemetry()));
  app.post('/v1/generate', generate(state));
  app.post('/v1/tokenize', tokenize(state));
  app.delete('/v1/generate/:id', cancel(state));

  app.notFound((c) => {
    state.metrics.refused(404, 'not_found');
    return c.json(new ApiError(404, 'There is no such route here.', { code: 'not_found' }).body, 404);
  });
  app.onError((thrown, c) => {
    const error = toApiError(thrown);
    const { type, code, param } = error.body.error;
    state.metrics.refused(error.status, code);
    const fields = { request_id: c.get('requestId'), status: error.status, type, code, param };
    if (c.env.outgoing.destroyed) state.log.info(fields, 'client left before its request was whole');
    else if (error.status === 500) state.log.error({ ...fields, err: error.cause }, 'request failed');
    else state.log.info(fields, 'request refused');
    return c.json(error.body, error.status as ContentfulStatusCode, error.headers);
  });
  return app;
}

export function nodeInfo(node: NodeState): NodeInfo {
  const { info, stats, state = 'ready' } = node.loadedEngine();
  return {
    model: node.name,
    ...(node.modelCreated !== undefined && { model_created: node.modelCreated }),
    ...(info.adapters && { adapters: info.adapters }),
    version,
    engine: state,
    draining: node.draining,
    context_length: info.maxSequence,
    slots: stats.slots,
    active: stats.active,
    queued: stats.queued,
    queued_tokens: stats.queuedTokens,
    prefill_tokens_per_second: Math.round(stats.prefillTokensPerSecond),
    answer_seconds: stats.answerSeconds,
    prefixes: node.prefixes.toBase64(),
    kv_used: stats.kvUsed,
    kv_total: stats.kvTotal,
    steps: stats.steps,
    prefill_tokens: stats.prefillTokens,
    decode_tokens: stats.decodeTokens,
    experts: info.experts,
    experts_used: info.expertsUsed,
  };
}
