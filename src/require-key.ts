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

/** A key that was minted here. */
interface ShownKey {
  id: string;
  /** See `keyHash`. */
  hash: string;
}

/**
 * Keys that passed in this isolate, so that the check's arithmetic is done once a key and not once a request. That the
 * key is still wanted is asked of its object every time. A key that was never minted is not in here, and goes through
 * the check in constant time.
 */
const passed = new Map<string, ShownKey>();
const mostPassed = 1_000;
let passedBy: string | undefined;

/** Lets pass who shows a key that was minted here, and says whose it is in `keyId`. The key itself goes no further. */
export function requireKey(): MiddlewareHandler<App> {
  return async function requireKey(c, next) {
    const shown = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
    if (shown === undefined) throw new EdgeError({ kind: 'invalid_key' });
    const key = await c.get('timing').measure('key', keyOf(c.env.KEY_SECRET ?? '', shown));
    if (!key) {
      const retryAfter = failures.fail(addressOf(c.req.raw), Date.now());
      throw new EdgeError(
        retryAfter ? { kind: 'too_many_failed_keys', retryAfter } : { kind: 'invalid_key' },
      );
    }
    c.set('keyId', key.id);
    c.set('keyHash', key.hash);
    await next();
  };
}

/** Undefined for a key that was not minted here. */
async function keyOf(secret: string, shown: string): Promise<ShownKey | undefined> {
  if (passedBy !== secret) passed.clear();
  passedBy = secret;
  const known = passed.get(shown);
  if (known) return known;
  const id = await verify(secret, shown);
  if (id === undefined) return undefined;
  const key = { id, hash: await keyHash(shown) };
  // Their order is that of their coming: the oldest goes, and comes back with its next request.
  if (passed.size >= mostPassed) passed.delete(passed.keys().next().value!);
  passed.set(shown, key);
  return key;
}

async function verify(secret: string, key: string): Promise<string | undefined> {
  try {
    return await verifyKey(secret, key);
  } catch {
    throw new EdgeError({ kind: 'edge_misconfigured' }, 'KEY_SECRET is missing or too short');
  }
}
