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

export interface Metered {
  /** The answer's id, as the client saw it. */
  id: string;
  model: string;
  stream: boolean;
  /** When the first event was ready for the client, milliseconds since 1970; undefined when none was. */
  firstEventAt: number | undefined;
  /** The leg that ended the answer. */
  leg: Leg;
  reservation: Reservation;
}

/** Settles once the leg's usage is known, which may take a question to the node. */
export async function meter(
  call: Call,
  { id, model, stream, firstEventAt, leg, reservation }: Metered,
): Promise<void> {
  const endedAt = Date.now();
  const { usage, source } = await leg.usage();
  const ttftMs = firstEventAt === undefined ? undefined : firstEventAt - call.startedAt;
  const durationMs = endedAt - call.startedAt;
  log('usage', {
    request_id: call.requestId,
    id,
    key: call.keyId,
    model,
    node: leg.node.url,
    stream,
    ...counts(usage),
    /** Where the counts come from: the stream itself, a question to the node, or the edge's own counting. */
    source,
    ttft_ms: ttftMs ?? null,
    duration_ms: durationMs,
  });
  await reservation.settle({
    promptTokens: usage.prompt_tokens,
    cachedTokens: (usage as { cached_tokens?: number }).cached_tokens ?? 0,
    completionTokens: usage.completion_tokens,
    failed: leg.end !== 'done' && usage.reason !== 'cancelled',
    ttftMs,
    durationMs,
  });
}

/** A request that failed before any node had taken it: it used nothing. */
export async function meterFailure(
  call: Call,
  reservation: Reservation,
  problem: Problem | undefined,
): Promise<void> {
  await reservation.settle({
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    failed: problem?.kind !== 'client_gone',
    ttftMs: undefined,
    durationMs: Date.now() - call.startedAt,
  });
}

function counts({ prompt_tokens, completion_tokens, reason }: NodeUsage): NodeUsage {
  return { prompt_tokens, completion_tokens, reason };
}
