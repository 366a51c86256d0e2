/**
 * One data point an answer, for a Workers Analytics Engine dataset: what the log's usage line says, to be asked in SQL.
 * Without content, and indexed by key, by which it is sampled.
 */
import type { NodeUsage } from 'huozi-gpu-backend/protocol';
import type { Moves } from '../moves.ts';
import type { Upstream } from './usage-row.ts';

/** The part of `AnalyticsEngineDataset` that is used. */
export interface Dataset {
  writeDataPoint(point: { indexes: string[]; blobs: string[]; doubles: number[] }): void;
}

interface Answered {
  keyId: string;
  model: string;
  upstream: Upstream;
  stream: boolean;
  usage: NodeUsage;
  /** Where the counts come from. */
  source: string;
  failed: boolean;
  moves: Moves;
  /** Milliseconds; undefined when there was no first token. */
  ttftMs: number | undefined;
  durationMs: number;
}

/** blob1… and double1… in this order; a TTFT of −1 is none. */
export function writePoint(dataset: Dataset | undefined, answered: Answered): void {
  const { keyId, model, upstream, stream, usage, source, failed, moves, ttftMs, durationMs } = answered;
  dataset?.writeDataPoint({
    indexes: [keyId],
    blobs: [model, usage.reason, stream ? 'stream' : 'whole', source, failed ? 'failed' : 'ok', upstream],
    doubles: [
      usage.prompt_tokens,
      usage.cached_tokens ?? 0,
      usage.completion_tokens,
      ttftMs ?? -1,
      durationMs,
      moves.retries,
      moves.migrations,
    ],
  });
}
