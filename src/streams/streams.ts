/** Where an answer is made: in the worker as long as nobody needs it afterwards, else in an object of its own. */
import type { Context } from 'hono';
import { answering } from '../answering.ts';
import { type App, callOf, parseJson } from '../app.ts';
import { EdgeError, refuse } from '../errors.ts';
import { hex, randomHex } from '../hex.ts';
import { authorise } from '../keys/ask-key.ts';
import { validate } from '../validate.ts';
import { followQuery } from './follow-query.ts';
import type { AnsweredPath, Asked } from './stream-api.ts';

const shape = /^(?:key-[0-9a-f]{64}|(?:chatcmpl|cmpl)-[0-9a-f]{32})$/;

/** Throws an EdgeError as long as nothing of the answer has been sent. */
export async function answer(c: Context<App>, path: AnsweredPath): Promise<Response> {
  const key = idempotencyKey(c);
  const bytes = await c.req.arrayBuffer();
  if (key !== undefined) {
    const id = `key-${await sha256(new TextEncoder().encode(key))}`;
    const hash = await sha256(new Uint8Array(await new Blob([`${path}\n`, bytes]).arrayBuffer()));
    return keep(c, bytes, { path, id, hash, answerId: undefined });
  }
  const body = parseJson(bytes);
  if (path === '/v1/responses' || !isResumable(body)) return answering[path](callOf(c), body);
  const id = `${path === '/v1/completions' ? 'cmpl' : 'chatcmpl'}-${randomHex(16)}`;
  return keep(c, bytes, { path, id, hash: '', answerId: id });
}

/** `GET /v1/streams/{id}` */
export async function follow(c: Context<App>): Promise<Response> {
  const id = await known(c);
  const query = validate(followQuery, c.req.query());
  return ask(c, id, { method: 'GET' }, { ...whoAsks(c), id, after: after(c, query.after) });
}

/** `DELETE /v1/streams/{id}` */
export async function stop(c: Context<App>): Promise<Response> {
  const id = await known(c);
  const status = await objectOf(c, id).stop();
  if (!status) throw new EdgeError({ kind: 'stream_not_found', id });
  return c.json({ id, object: 'stream', status });
}

function keep(
  c: Context<App>,
  body: ArrayBuffer,
  what: Pick<Asked, 'path' | 'id' | 'hash' | 'answerId'>,
): Promise<Response> {
  const asked: Asked = { ...what, ...whoAsks(c), after: after(c, undefined) };
  // Asking twice asks once.
  return ask(c, what.id, { method: 'POST', body, signal: c.get('client') }, asked);
}

async function ask(c: Context<App>, id: string, init: RequestInit, asked: object): Promise<Response> {
  const headers = { 'x-asked': JSON.stringify(asked) };
  const question = () => objectOf(c, id).fetch('https://answer/', { ...init, headers });
  const response = await c.get('timing').measure(
    'node',
    question().catch(() => question().catch(() => unavailable(c))),
  );
  const named = new Response(response.body, response);
  if (response.ok && !response.headers.get('content-type')?.startsWith('application/json')) {
    named.headers.set('x-huozi-stream', `/v1/streams/${id}`);
  }
  return named;
}

function unavailable(c: Context<App>): never {
  throw new EdgeError({ kind: c.get('client').aborted ? 'client_gone' : 'streams_unavailable' });
}

async function known(c: Context<App>): Promise<string> {
  await authorise(callOf(c), 'inference');
  const id = c.req.param('id') ?? '';
  // Whatever stands in a URL must not make an object.
  if (!shape.test(id)) throw new EdgeError({ kind: 'stream_not_found', id });
  return id;
}

function objectOf(c: Context<App>, id: string) {
  return c.env.ANSWERS.getByName(`${c.get('keyId')}:${id}`);
}

function idempotencyKey(c: Context<App>): string | undefined {
  const key = c.req.header('idempotency-key');
  if (key === undefined || /^[\x20-\x7e]{1,255}$/.test(key)) return key;
  return refuse('Idempotency-Key', 'must be 1 to 255 printable ASCII characters.');
}

function whoAsks(c: Context<App>) {
  const { requestId, keyId, keyHash, trace, startedAt } = callOf(c);
  return { requestId, keyId, keyHash, trace, startedAt };
}

/** The last event that the client has. */
function after(c: Context<App>, query: string | undefined): number | undefined {
  const told = query ?? c.req.header('last-event-id') ?? '';
  if (told === '') return undefined;
  if (!/^\d{1,15}$/.test(told)) throw new EdgeError({ kind: 'event_not_found' });
  return Number(told);
}

/** Others go the way on which they are refused, where they must be. */
function isResumable(body: unknown): boolean {
  const { stream, resumable } = (body ?? {}) as { stream?: unknown; resumable?: unknown };
  return stream === true && resumable === true;
}

async function sha256(bytes: Uint8Array): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}
