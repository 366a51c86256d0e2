/**
 * Where every answer's usage ends up, however the answer ended: charged to its key, counted in its key's usage, and
 * one line in the log, without content.
 */
import type { NodeUsage } from 'huozi-gpu-backend/protocol';
import type { Call } from './call.ts';
import type { Problem } from './errors.ts';
import type { Leg } from './leg.ts';
import type { Reservation } from './limits/reservation.ts';
import { log } from './log.ts';
import type { Moves } from './moves.ts';
import type { Route } from './route.ts';
import { writePoint } from './usage/analytics.ts';
import type { Upstream } from './usage/usage-row.ts';

export interface Answered {
  /** As the client saw it. */
  id: string;
  model: string;
  stream: boolean;
  reservation: Reservation;
  moves: Moves;
}

/** Settles once the leg's usage is known, which may take a question to the node. */
export async function meter(
  call: Call,
  {
    leg,
    firstEventAt,
    problem,
    ...answer
  }: Answered & { leg: Leg; firstEventAt: number | undefined; problem: Problem | undefined },
): Promise<void> {
  const endedAt = Date.now();
  const { usage, source, node } = await leg.usage();
  await record(call, answer, {
    usage,
    node,
    upstream: leg.upstream,
    source,
    failed: problem !== undefined && !isWanted(problem),
    ttftMs: firstEventAt === undefined ? undefined : firstEventAt - call.startedAt,
    durationMs: endedAt - call.startedAt,
  });
}

/** An answer that no node is known to have begun. One that the client left may have been begun all the same. */
export async function meterFailure(
  call: Call,
  { route, problem, ...answer }: Answered & { route: Route; problem: Problem | undefined },
): Promise<void> {
  const endedAt = Date.now();
  const { cancelled } = route;
  const usage = await cancelled?.usage;
  await record(call, answer, {
    usage: usage ?? {
      prompt_tokens: 0,
      completion_tokens: route.position,
      reason: cancelled ? 'cancelled' : 'error',
    },
    node: cancelled && usage ? cancelled.node : null,
    upstream: 'node',
    source: usage ? 'node' : 'counted',
    failed: !problem || !isWanted(problem),
    ttftMs: undefined,
    durationMs: endedAt - call.startedAt,
  });
}

/** Ended by those for whom it was. */
function isWanted({ kind }: Problem): boolean {
  return kind === 'client_gone' || kind === 'generation_cancelled';
}

interface End {
  usage: NodeUsage;
  node: string | null;
  upstream: Upstream;
  /** Where the counts come from: the stream itself, a question to the node, or the edge's own counting. */
  source: 'stream' | 'node' | 'counted';
  failed: boolean;
  ttftMs: number | undefined;
  durationMs: number;
}

async function record(
  call: Call,
  { id, model, stream, reservation, moves }: Answered,
  { usage, node, upstream, source, failed, ttftMs, durationMs }: End,
): Promise<void> {
  // First, because the next request may be on its way; and an answer that came in one write waits for all this.
  await reservation.settle({
    upstream,
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.cached_tokens ?? 0,
    completionTokens: usage.completion_tokens,
    failed,
    ...moves,
    ttftMs,
    durationMs,
  });
  log('usage', {
    request_id: call.requestId,
    trace_id: call.trace.traceId,
    span_id: call.trace.spanId,
    id,
    key: call.keyId,
    model,
    upstream,
    node,
    stream,
    ...counts(usage),
    source,
    ...moves,
    ttft_ms: ttftMs ?? null,
    duration_ms: durationMs,
  });
  writePoint(call.env.ANALYTICS, {
    keyId: call.keyId,
    model,
    upstream,
    stream,
    usage,
    source,
    failed,
    moves,
    ttftMs,
    durationMs,
  });
}

function counts({ prompt_tokens, completion_tokens, cached_tokens = 0, reason }: NodeUsage): NodeUsage {
  return { prompt_tokens, completion_tokens, cached_tokens, reason };
}
