import type { MiddlewareHandler } from 'hono';
import type { App } from './app.ts';
import { EdgeError } from './errors.ts';
import { keyHash, verifyKey } from './key.ts';
import { addressOf, FailureCounter } from './keys/failure-counter.ts';

/**
 * An isolate's memory, because a forged key must not cost a look into storage. Keys that pass never meet it: their
 * check has 128 bits, which nobody guesses at any rate, and a whole office behind one address must not be locked out
 * by a neighbour. What it bounds is the noise that guessing makes.
 */
const failures = new FailureCounter();

/** Lets pass who shows a key that was minted here, and says whose it is in `keyId`. The key itself goes no further. */
export function requireKey(): MiddlewareHandler<App> {
  return async function requireKey(c, next) {
    const shown = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
    if (shown === undefined) throw new EdgeError({ kind: 'invalid_key' });
    const [id, hash] = await c
      .get('timing')
      .measure('key', Promise.all([verify(c.env.KEY_SECRET, shown), keyHash(shown)]));
    if (id === undefined) {
      const retryAfter = failures.fail(addressOf(c.req.raw), Date.now());
      throw new EdgeError(
        retryAfter ? { kind: 'too_many_failed_keys', retryAfter } : { kind: 'invalid_key' },
      );
    }
    c.set('keyId', id);
    c.set('keyHash', hash);
    await next();
  };
}

async function verify(secret: string | undefined, key: string): Promise<string | undefined> {
  try {
    return await verifyKey(secret ?? '', key);
  } catch {
    throw new EdgeError({ kind: 'edge_misconfigured' }, 'KEY_SECRET is missing or too short');
  }
}
