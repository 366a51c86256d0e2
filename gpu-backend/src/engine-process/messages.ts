/**
 * What server and engine process tell each other. Everything is plain data that structured cloning carries; requests
 * and events travel as they are, so a new field of either needs no change here.
 */
import type {
  EngineInfo,
  EngineOptions,
  EngineStats,
  GenerationEvents,
  GenerationRequest,
} from '../engine/types.ts';
import type { ExpertTelemetry, Segment } from '../protocol.ts';
import type { WireError } from './wire-error.ts';

export type ToEngine =
  | { type: 'load'; options: EngineOptions }
  | { type: 'tokenize'; id: number; segments: readonly Segment[] }
  | { type: 'experts'; id: number }
  | { type: 'generate'; id: number; request: GenerationRequest }
  | { type: 'cancel'; id: number }
  | { type: 'close' };

/** `[id, what, ...]`: a call of the generation's events, or the answer to `generate`, `tokenize` or `experts`. */
export type Entry =
  | [id: number, event: keyof GenerationEvents, ...args: unknown[]]
  | [id: number, what: 'accepted']
  | [id: number, what: 'refused', error: WireError]
  | [id: number, what: 'tokens', ids: Int32Array]
  | [id: number, what: 'experts', telemetry: ExpertTelemetry];

export type FromEngine =
  | { type: 'loaded'; info: EngineInfo; stats: EngineStats }
  | { type: 'failed'; error: WireError }
  /** All that one turn of the engine's event loop has to tell: a decode step is one message. */
  | { type: 'turn'; entries: Entry[]; stats: EngineStats }
  /** Comes when no turn did for a while: long prefills are silent, and so is a hung step. */
  | { type: 'alive'; stats: EngineStats; residentBytes: number };
