/**
 * What browsers are told. The threat: a page somewhere that makes its visitor's browser call the edge, frame it, or
 * take an answer for something that it is not. No origin may read anything unless the operator lists it.
 */
import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { secureHeaders } from 'hono/secure-headers';
import type { App } from './app.ts';

const limited = ['requests', 'tokens'].flatMap((what) =>
  ['limit', 'remaining', 'reset'].map((standing) => `x-ratelimit-${standing}-${what}`),
);

/** For whom ALLOWED_ORIGINS lists. Keys go in a header and never in a cookie, so credentials are not allowed. */
export function allowOrigins(): MiddlewareHandler<App> {
  return cors({
    origin: (origin, c) => (listed(c.env.ALLOWED_ORIGINS).includes(origin) ? origin : undefined),
    allowMethods: ['GET', 'POST', 'DELETE'],
    allowHeaders: [
      'authorization',
      'content-type',
      'idempotency-key',
      'last-event-id',
      'traceparent',
      'tracestate',
      'x-request-id',
      // openai's client says with it what it runs on, in browsers as well.
      ...[
        'arch',
        'async',
        'lang',
        'os',
        'package-version',
        'retry-count',
        'runtime',
        'runtime-version',
        'timeout',
      ].map((what) => `x-stainless-${what}`),
    ],
    exposeHeaders: [
      'x-request-id',
      'x-huozi-stream',
      'idempotent-replayed',
      'x-should-retry',
      'x-huozi-retries',
      'x-huozi-migrations',
      'retry-after',
      'server-timing',
      ...limited,
    ],
    maxAge: 3600,
  });
}

/** A page that the edge itself serves brings a policy of its own; everything else is data, and may load nothing. */
export function safeHeaders(): MiddlewareHandler<App> {
  const headers = secureHeaders({
    overwrite: false,
    contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    strictTransportSecurity: 'max-age=31536000; includeSubDomains',
    xFrameOptions: 'DENY',
  });
  return async function safeHeaders(c, next) {
    await headers(c, next);
    // Answers are one client's own. What anybody may read says so itself.
    if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store');
  };
}

/** Exact origins alone: `https://app.example`, `http://localhost:5173`. */
function listed(origins: string | undefined): string[] {
  return (origins ?? '')
    .split(',')
    .map((origin) => origin.trim())
    .filter((origin) => /^https?:\/\/[^/\s*]+$/.test(origin));
}
