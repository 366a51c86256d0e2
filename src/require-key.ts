import type { MiddlewareHandler } from 'hono';
import type { App } from './app.ts';
import { EdgeError } from './errors.ts';
import { verifyKey } from './key.ts';

/** Lets pass who shows a key that was minted here, and says whose it is in `keyId`. The key itself goes no further. */
export function requireKey(): MiddlewareHandler<App> {
  return async function requireKey(c, next) {
    const key = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
    const id = key === undefined ? undefined : await verify(c.env.KEY_SECRET, key);
    if (id === undefined) throw new EdgeError({ kind: 'invalid_key' });
    c.set('keyId', id);
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
