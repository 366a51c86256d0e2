import type { MiddlewareHandler } from 'hono';
import type { App } from '../app.ts';
import { EdgeError } from '../errors.ts';
import { addressOf, FailureCounter } from '../keys/failure-counter.ts';

const shortestToken = 16;
const encoder = new TextEncoder();

/** Who has failed too often waits, also with the right token: unlike a key's check, this one may be a person's word. */
const failures = new FailureCounter(10);

/** Lets pass who shows ADMIN_TOKEN. */
export function requireAdmin(): MiddlewareHandler<App> {
  return async function requireAdmin(c, next) {
    const expected = c.env.ADMIN_TOKEN ?? '';
    if (expected.length < shortestToken) {
      throw new EdgeError({ kind: 'edge_misconfigured' }, 'ADMIN_TOKEN is missing or too short');
    }
    const address = addressOf(c.req.raw);
    const wait = failures.wait(address, Date.now());
    if (wait > 0) throw new EdgeError({ kind: 'too_many_failed_keys', retryAfter: wait });
    const shown = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
    if (shown === undefined || !(await same(shown, expected))) {
      if (shown !== undefined) failures.fail(address, Date.now());
      throw new EdgeError({ kind: 'invalid_admin_token' });
    }
    await next();
  };
}

/** In a time that does not depend on where they differ, nor on how long they are. */
async function same(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all(
    [one, other].map((text) => crypto.subtle.digest('SHA-256', encoder.encode(text))),
  );
  return crypto.subtle.timingSafeEqual(first!, second!);
}
