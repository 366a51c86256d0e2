/** `/openapi.json` and `/docs`: for anybody, since they tell nothing of who uses the edge or what serves it. */
import { Hono } from 'hono';
import type { App } from '../app.ts';
import { openApiDocument } from './document.ts';
import { page, style } from './page.ts';

const shared = { 'cache-control': 'public, max-age=300' };
const policy =
  "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export const openapi = new Hono<App>();

openapi.get('/openapi.json', (c) =>
  c.json({ ...openApiDocument(), servers: [{ url: new URL(c.req.url).origin }] }, 200, {
    ...shared,
    // Documents are read by tools in pages of any origin.
    'access-control-allow-origin': '*',
  }),
);
openapi.get('/docs', async (c) =>
  c.html(await pageAt(new URL(c.req.url).origin), 200, { ...shared, 'content-security-policy': policy }),
);
openapi.get('/docs/style.css', (c) =>
  c.body(style, 200, { ...shared, 'content-type': 'text/css; charset=utf-8' }),
);

let written: { origin: string; html: string } | undefined;

/** Written once an isolate: it takes 8 ms, and anybody may ask. */
async function pageAt(origin: string): Promise<string> {
  if (written?.origin !== origin) written = { origin, html: String(await page(openApiDocument(), origin)) };
  return written.html;
}
