/** What browsers and strangers get: no foreign origin, no frame, no redirect, no word of what lies behind. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminToken, chat, type Edge, edgeBeforeNode, errorOf, startEdge } from './edge.ts';

const { node, edge } = edgeBeforeNode();
const app = 'https://app.example';
let open: Edge;
beforeAll(async () => {
  const ALLOWED_ORIGINS = `${app}, http://localhost:5173,*,https://*.example,null,ftp://files.example`;
  open = await startEdge([node], [node.url], { bindings: { ALLOWED_ORIGINS } });
});
afterAll(() => open?.stop());

const preflight = (to: Edge, origin: string, path = '/v1/chat/completions') =>
  fetch(to.url + path, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  });
const allowed = (response: Response) => response.headers.get('access-control-allow-origin');

describe('a page of another origin', () => {
  it.each([app, 'http://localhost:5173'])('that is listed, %s, may ask and read', async (origin) => {
    const before = await preflight(open, origin);
    expect(before.status).toBe(204);
    expect(allowed(before)).toBe(origin);
    expect(before.headers.get('vary')).toContain('Origin');
    expect(before.headers.get('access-control-allow-credentials')).toBeNull();
    const names = before.headers.get('access-control-allow-headers')!.split(',');
    for (const name of ['authorization', 'content-type', 'idempotency-key', 'last-event-id', 'traceparent'])
      expect(names).toContain(name);
    for (const stream of [true, false]) {
      const response = await open.post(chat({ stream }), { headers: { origin } });
      expect(response.status).toBe(200);
      expect(allowed(response)).toBe(origin);
      const exposed = response.headers.get('access-control-expose-headers')!.split(',');
      for (const name of ['x-request-id', 'retry-after', 'server-timing', 'x-ratelimit-remaining-tokens'])
        expect(exposed).toContain(name);
      await response.text();
    }
  });

  it.each([
    'https://app.example.evil.example',
    'https://sub.app.example',
    'http://app.example',
    `${app}:8443`,
    'null',
    '*',
    'https://*.example',
    'ftp://files.example',
  ])('that is not listed, %s, may not', async (origin) => {
    expect(allowed(await preflight(open, origin))).toBeNull();
    expect(allowed(await open.post(chat(), { headers: { origin } }))).toBeNull();
    expect(allowed(await fetch(`${open.url}/v1/models`, { headers: { origin } }))).toBeNull();
  });

  it('may read its errors as well', async () => {
    const response = await open.post(chat({ temperature: 9 }), { headers: { origin: app } });
    expect(allowed(response)).toBe(app);
    expect(await errorOf(response)).toMatchObject({ status: 400, param: 'temperature' });
  });

  it('never reaches the admin API, nor anything where no origin is listed', async () => {
    expect(allowed(await preflight(open, app, '/admin/keys'))).toBeNull();
    const admin = await fetch(`${open.url}/admin/keys`, {
      headers: { origin: app, authorization: `Bearer ${adminToken}` },
    });
    expect(admin.status).toBe(200);
    expect(allowed(admin)).toBeNull();
    expect(allowed(await preflight(edge, app))).toBeNull();
    expect(allowed(await edge.post(chat(), { headers: { origin: app } }))).toBeNull();
  });
});

it('every response forbids sniffing, framing and keeping', async () => {
  const responses = [
    await edge.post(chat()),
    await edge.post(chat({ stream: true })),
    await edge.post('{'),
    await fetch(`${edge.url}/v1/models`),
    await fetch(`${edge.url}/admin/keys`),
    await fetch(`${edge.url}/nowhere`),
    await fetch(`${edge.url}/healthz`),
  ];
  for (const { headers } of responses) {
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
    expect(headers.get('strict-transport-security')).toMatch(/^max-age=31536000/);
    expect(headers.get('cache-control')).toMatch(/^no-store/);
    expect(headers.get('x-powered-by')).toBeNull();
  }
});

it('the playground may load from its own origin alone, and make no markup of strings', async () => {
  const page = await fetch(`${edge.url}/`);
  expect(page.status).toBe(200);
  expect(page.headers.get('content-type')).toMatch(/^text\/html/);
  expect(page.headers.get('cache-control')).toBe('no-cache');
  const policy = page.headers.get('content-security-policy')!;
  expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self'; /);
  expect(policy).toMatch(/require-trusted-types-for 'script'; trusted-types 'none'$/);
  expect(policy).not.toMatch(/unsafe|https?:|data:|blob:|\*/);
  const assets = [...(await page.text()).matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
  const types = [/^image\/svg/, /^text\/css/, /^text\/javascript/];
  expect(assets).toHaveLength(types.length);
  for (const [at, path] of assets.entries()) {
    const { status, headers } = await fetch(edge.url + path);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(types[at]!);
    expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toBe(policy);
  }
});

it.each([
  '//evil.example/',
  '/%2f%2fevil.example',
  '/v1/models/',
  '/v1//evil.example',
  '/assets/%2e%2e/index.html',
  '/assets/nowhere.js',
  '/index.html',
])('nothing redirects: %s', async (path) => {
  const response = await fetch(edge.url + path, {
    redirect: 'manual',
    headers: { authorization: `Bearer ${edge.apiKey}` },
  });
  expect(response.status).toBe(404);
  expect(response.headers.get('location')).toBeNull();
});

it.each([
  ['file:///etc/passwd', 'another scheme'],
  ['http://user:word@node.example', 'credentials'],
  ['http://node.example/?to=', 'a query'],
  ['node.example', 'no scheme'],
])('a configuration of %j (%s) asks nobody', async (urls) => {
  const wrong = await startEdge([node], [urls]);
  try {
    expect(await errorOf(await wrong.post(chat()))).toMatchObject({
      status: 500,
      code: 'edge_misconfigured',
    });
  } finally {
    await wrong.stop();
  }
});

describe('sight', () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';

  it('a trace goes on at the node and stands in the log, under a span of its own', async () => {
    const parent = `00-${traceId}-00f067aa0ba902b7-01`;
    await (await edge.post(chat(), { headers: { traceparent: parent } })).text();
    const { headers, request } = node.generations.at(-1)!;
    const [, trace, span, flags] = String(headers.traceparent).split('-');
    expect([trace, flags]).toEqual([traceId, '01']);
    expect(span).not.toBe('00f067aa0ba902b7');
    expect(await edge.metered(request.events.id)).toMatchObject([{ trace_id: traceId, span_id: span }]);
  });

  it('a trace that is none begins anew', async () => {
    await (await edge.post(chat(), { headers: { traceparent: `00-${traceId}-zz-01` } })).text();
    const sent = String(node.generations.at(-1)!.headers.traceparent);
    expect(sent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(sent).not.toContain(traceId);
  });

  it.each([true, false])('Server-Timing says where the time went (stream: %s)', async (stream) => {
    const response = await edge.post(chat({ stream }));
    expect(response.headers.get('server-timing')).toMatch(
      /^key;dur=\d+, limits;dur=\d+, node;dur=\d+, total;dur=\d+$/,
    );
    await response.text();
  });

  it('Server-Timing of a refused key tells of the key alone', async () => {
    const response = await fetch(`${edge.url}/v1/models`, { headers: { authorization: 'Bearer x' } });
    expect(response.headers.get('server-timing')).toMatch(/^key;dur=\d+, total;dur=\d+$/);
  });
});
