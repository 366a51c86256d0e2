/** Where an answer is made: in the worker as long as nobody needs it afterwards, else in an object of its own. */
import type { Context } from 'hono';
import { answering } from '../answering.ts';
import { type App, callOf, parseJson } from '../app.ts';
import { EdgeError, refuse } from '../errors.ts';
import { hex, randomHex } from '../hex.ts';
import { authorise } from '../keys/ask-key.ts';
import { isResponseId, newResponseId } from '../responses/response-id.ts';
import { validate } from '../validate.ts';
import { askAnswer, beginAnswer, followAnswer } from './ask-answer.ts';
import { followQuery } from './follow-query.ts';
import type { AnsweredPath } from './stream-api.ts';

const shape = /^(?:key-[0-9a-f]{64}|(?:chatcmpl|cmpl)-[0-9a-f]{32})$/;

/** Throws an EdgeError as long as nothing of the answer has been sent. */
export async function answer(c: Context<App>, path: AnsweredPath): Promise<Response> {
  const key = idempotencyKey(c);
  const bytes = await c.req.arrayBuffer();
  if (key !== undefined) {
    const id = `key-${await sha256(new TextEncoder().encode(key))}`;
    const hash = await sha256(new Uint8Array(await new Blob([`${path}\n`, bytes]).arrayBuffer()));
    return beginAnswer(c, bytes, { path, id, hash, answerId: undefined, after: after(c, undefined) });
  }
  const body = parseJson(bytes);
  const id = ownName(path, body);
  if (!id) return answering[path](callOf(c), body);
  return beginAnswer(c, bytes, { path, id, hash: '', answerId: id, after: after(c, undefined) });
}

/** `GET /v1/streams/{id}` */
export async function follow(c: Context<App>): Promise<Response> {
  const id = await known(c);
  const query = validate(followQuery, c.req.query());
  return followAnswer(c, { id, after: after(c, query.after) });
}

/** `DELETE /v1/streams/{id}` */
export async function stop(c: Context<App>): Promise<Response> {
  const id = await known(c);
  const status = await askAnswer(c, id, (answer) => answer.stop());
  if (!status) throw new EdgeError({ kind: 'stream_not_found', id });
  return c.json({ id, object: 'stream', status });
}

async function known(c: Context<App>): Promise<string> {
  await authorise(callOf(c), 'inference');
  const id = c.req.param('id') ?? '';
  // Whatever stands in a URL must not make an object.
  if (!shape.test(id)) throw new EdgeError({ kind: 'stream_not_found', id });
  return id;
}

function idempotencyKey(c: Context<App>): string | undefined {
  const key = c.req.header('idempotency-key');
  if (key === undefined || /^[\x20-\x7e]{1,255}$/.test(key)) return key;
  return refuse('Idempotency-Key', 'must be 1 to 255 printable ASCII characters.');
}

/** The last event that the client has. */
function after(c: Context<App>, query: string | undefined): number | undefined {
  const told = query ?? c.req.header('last-event-id') ?? '';
  if (told === '') return undefined;
  if (!/^\d{1,15}$/.test(told)) throw new EdgeError({ kind: 'event_not_found' });
  return Number(told);
}

/**
 * The id of an answer that asks to outlive its client's connection. Others go the way on which they are refused, where
 * they must be.
 */
function ownName(path: AnsweredPath, body: unknown): string | undefined {
  const { stream, resumable, background, previous_response_id: previous } = (body ?? {}) as Body;
  if (path === '/v1/responses') {
    if (background !== true) return undefined;
    return newResponseId(typeof previous === 'string' && isResponseId(previous) ? previous : undefined);
  }
  if (stream !== true || resumable !== true) return undefined;
  return `${path === '/v1/completions' ? 'cmpl' : 'chatcmpl'}-${randomHex(16)}`;
}
type Body = Partial<Record<'stream' | 'resumable' | 'background' | 'previous_response_id', unknown>>;

async function sha256(bytes: Uint8Array): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}
