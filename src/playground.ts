/**
 * The playground at `/`: what src/playground was built to. The threat: text that a model wrote, or a link that somebody
 * sent, becomes a script in a page that holds a key. The page may run its own one script, talk to its own edge, and
 * turn no string into markup: browsers refuse innerHTML and its like under this policy.
 */
import { type Context, Hono } from 'hono';
import type { App } from './app.ts';

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

export const playground = new Hono<App>();

playground.get('/', (c) => serve(c, '/index.html', 'no-cache'));
// Their names change with what is in them.
playground.get('/assets/:file{[\\w-]+\\.\\w+}', (c) =>
  serve(c, `/assets/${c.req.param('file')}`, 'public, max-age=31536000, immutable'),
);

async function serve(c: Context<App>, path: string, cacheControl: string): Promise<Response> {
  const { body, status, headers } = await c.env.ASSETS.fetch(new URL(path, c.req.url));
  if (status !== 200 || !body) return c.notFound();
  return c.body(body, 200, {
    'content-type': headers.get('content-type') ?? 'application/octet-stream',
    'cache-control': cacheControl,
    'content-security-policy': policy,
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  });
}
