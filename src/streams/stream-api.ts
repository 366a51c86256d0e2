/** What the worker asks of an answer's Durable Object. Types alone, as in keys/key-api.ts. */
import type { Trace } from '../trace.ts';

/** Where a model answers. */
export type AnsweredPath = '/v1/chat/completions' | '/v1/completions' | '/v1/responses';

/** From where on a stream is read. */
export interface Followed {
  /** Of the stream. */
  id: string;
  /** Events that the client has, where it says so. */
  after: number | undefined;
  /** How it says so, where it can be wrong. */
  afterParam?: 'starting_after';
}

/** Whose request it is, as the object's own call will have it. */
export interface Asked extends Followed {
  path: AnsweredPath;
  requestId: string;
  keyId: string;
  keyHash: string;
  trace: Trace;
  startedAt: number;
  /** Of a stream without an idempotency key. */
  answerId: string | undefined;
  /** Of path and body; what is asked twice under one idempotency key must be the same. */
  hash: string;
}

export type AnswerStatus = 'running' | 'completed' | 'failed' | 'cancelled';

/** One answer's object. `fetch` because bodies flow through it: POST begins or joins, GET follows. */
export interface AnswerObject {
  /** The header `x-asked` holds what is asked as JSON: Asked for POST, Followed for GET. */
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Undefined where there is none. */
  stop(): Promise<AnswerStatus | undefined>;
  /** Stops it first. */
  erase(): Promise<void>;
}

export interface AnswerObjects {
  getByName(name: string): AnswerObject;
}
