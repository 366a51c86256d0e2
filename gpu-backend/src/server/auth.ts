import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { ApiError } from './errors.ts';

const digest = (text: string) => createHash('sha256').update(text).digest();

/**
 * Lets a request pass that carries the token the edge and this node share. Digests are compared, so that
 * neither the token's length nor how much of a guess is right shows in the time it takes.
 */
export function bearerToken(token: string): MiddlewareHandler {
  const expected = digest(token);
  return async function bearerToken(c, next) {
    const given = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
    if (given === undefined || !timingSafeEqual(digest(given), expected)) {
      throw new ApiError(401, 'The node wants the bearer token it shares with the edge.', {
        code: 'invalid_api_key',
        headers: { 'www-authenticate': 'Bearer' },
      });
    }
    await next();
  };
}
