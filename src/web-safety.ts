/**
 * What browsers are told. The threat: a page somewhere that makes its visitor's browser call the edge, frame it, or
 * take an answer for something that it is not. No origin may read anything unless the operator lists it.
 */
import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import type { App } from './app.ts';

const limited = ['requests', 'tokens'].flatMap((what) =>
  ['limit', 'remaining', 'reset'].map((standing) => `x-ratelimit-${standing}-${what}`),
);

/** For whom ALLOWED_ORIGINS lists. Keys go in a header and never in a cookie, so credentials are not allowed. */
export function allowOrigins(): MiddlewareHandler<App> {
  const answer = cors({
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
  return async function allowOrigins(c, next) {
    // Who is no page gets none of it: it costs as much as all else that is said in headers. No cache can mix the two
    // up, since nothing under /v1 may be stored.
    if (c.req.method !== 'OPTIONS' && c.req.header('origin') === undefined) return next();
    return answer(c, next);
  };
}

/**
 * With every response, unless it says otherwise itself: a page that the edge serves brings a policy of its own;
 * everything else is data, and may load nothing. Answers are one client's own; what anybody may read says so.
 */
export const safeHeaders: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
};

/** Exact origins alone: `https://app.example`, `http://localhost:5173`. */
function listed(origins: string | undefined): string[] {
  return (origins ?? '')
    .split(',')
    .map((origin) => origin.trim())
    .filter((origin) => /^https?:\/\/[^/\s*]+$/.test(origin));
}
