/**
 * `POST /fleet/beat`: a node announces itself. It signs the body with the token that it shares with the edge: the
 * token does not travel, and nobody else can make the edge send prompts somewhere. Who has it can: the URL may be any,
 * and gets prompts and, with them, the token.
 */
import type { Context } from 'hono';
import * as z from 'zod/mini';
import { type App, parseJson } from '../app.ts';
import { EdgeError, refuse } from '../errors.ts';
import { validate } from '../validate.ts';
import { fleetObject } from './fleet-api.ts';
import type { Beat } from './roster.ts';

/** An older one is not believed: somebody may have recorded it. */
const freshMs = 30_000;
/** How often nodes are asked to be heard. */
const beatEveryMs = 2_000;

const count = z.int().check(z.nonnegative());
export const beatBody = z.object({
  url: z.string().check(z.maxLength(512), z.regex(/^https?:\/\/[^/?#@\s]+(\/[^?#\s]*[^/?#\s])?$/)),
  sent_at: z.int(),
  leaving: z.boolean(),
  info: z.looseObject({
    model: z.string().check(z.minLength(1), z.maxLength(128)),
    version: z.string().check(z.maxLength(64)),
    context_length: count,
    slots: z.int().check(z.positive()),
    active: count,
    queued: count,
  }),
});

/** Throws an EdgeError when the signature, the time or the body is not right. */
export async function hearBeat(c: Context<App>): Promise<Response> {
  const body = await c.req.arrayBuffer();
  const signature = c.req.header('x-huozi-signature') ?? '';
  if (!(await isSigned(c.env.NODE_TOKEN, body, signature)))
    throw new EdgeError({ kind: 'invalid_signature' });
  const beat = validate(beatBody, parseJson(body)) as unknown as Beat;
  if (Math.abs(Date.now() - beat.sent_at) > freshMs) {
    refuse('sent_at', 'is more than 30 seconds from the time here.');
  }
  const nodes = await fleetObject(c.env).hear(beat);
  return c.json({ nodes, beat_every_ms: beatEveryMs });
}

/** HMAC-SHA256 in hexadecimal; compared by WebCrypto, in constant time. */
async function isSigned(token: string, body: ArrayBuffer, signature: string): Promise<boolean> {
  if (!token || !/^[0-9a-f]{64}$/.test(signature)) return false;
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const secret = await crypto.subtle.importKey('raw', new TextEncoder().encode(token), algorithm, false, [
    'verify',
  ]);
  const bytes = Uint8Array.from(signature.match(/../g)!, (pair) => Number.parseInt(pair, 16));
  return crypto.subtle.verify('HMAC', secret, bytes, body);
}
