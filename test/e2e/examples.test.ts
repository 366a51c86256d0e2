/** The examples of the SDK, each as it stands, before the real edge and node. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { Window } from 'happy-dom';
import { Miniflare } from 'miniflare';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { type Stack, startStack } from '../stack.ts';

const examples = fileURLToPath(new URL('../../sdk/examples/', import.meta.url));
const poem = '床前明月光，疑是地上霜。举头望明月，低头思故乡。';
const question = '背诵《静夜思》';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.stop());
afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

it('node.ts: the poem on stdout, what it took on stderr; a wrong key is one line', async () => {
  const run = (key: string) =>
    promisify(execFile)(
      process.execPath,
      ['--conditions=huozi-source', '--import', 'tsx', `${examples}node.ts`, question],
      {
        cwd: examples,
        env: { ...process.env, HUOZI_BASE_URL: stack.baseURL, HUOZI_API_KEY: key },
      },
    ).catch((error: { code: number; stdout: string; stderr: string }) => error);
  const ran = await run(stack.apiKey);
  expect(ran.stdout).toBe(poem);
  expect(ran.stderr).toMatch(/^\n\d+ tokens, request [\w-]+\n$/);
  const refused = await run('hz_wrong');
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toMatch(/^RequestError invalid_api_key: .+\n$/);
});

/** The route as a server would load it. */
async function route(): Promise<(request: Request) => Promise<Response>> {
  vi.stubEnv('HUOZI_BASE_URL', stack.baseURL);
  vi.stubEnv('HUOZI_API_KEY', stack.apiKey);
  vi.resetModules();
  return (await import('../../sdk/examples/nextjs/route.ts')).POST;
}

const asked = (messages: unknown) =>
  new Request('http://site.example/api/chat/completions', {
    method: 'POST',
    body: JSON.stringify({ messages }),
  });

it('nextjs/route.ts: streams without a key, and tells what was wrong', async () => {
  const POST = await route();
  const answer = await POST(asked([{ role: 'user', content: question }]));
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  const events = await answer.text();
  expect([...events.matchAll(/"content":"([^"]*)"/g)].map(([, text]) => text).join('')).toBe(poem);
  expect(events).toMatch(/data: \[DONE\]\n\n$/);
  const refused = await POST(asked([{ role: 'wizard', content: '好' }]));
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({ error: { type: 'invalid_request_error' } });
  expect((await POST(new Request('http://site.example', { method: 'POST', body: 'no JSON' }))).status).toBe(
    400,
  );
});

it('worker.ts: text as it comes, in workerd', async () => {
  const { outputFiles } = await build({
    entryPoints: [`${examples}worker.ts`],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['huozi-source'],
    write: false,
    logLevel: 'error',
  });
  const miniflare = new Miniflare({
    modules: true,
    script: outputFiles[0]!.text,
    compatibilityDate: '2026-04-26',
    bindings: { HUOZI_BASE_URL: stack.baseURL, HUOZI_API_KEY: stack.apiKey },
    cf: false,
  });
  try {
    const response = await miniflare.dispatchFetch('http://worker.example', {
      method: 'POST',
      body: question,
    });
    expect(await response.text()).toBe(poem);
  } finally {
    await miniflare.dispose();
  }
});

it('browser/: asks its own site, shows the answer as text; its script is bundled for browsers', async () => {
  const POST = await route();
  const window = new Window({ url: 'http://site.example/' });
  try {
    const html = readFileSync(`${examples}browser/index.html`, 'utf8').replace(/<script.*<\/script>/, '');
    window.document.write(html);
    vi.stubGlobal('document', window.document);
    vi.stubGlobal('FormData', window.FormData);
    const { fetch } = globalThis;
    // The page asks its own site; what the route asks goes out.
    vi.stubGlobal('fetch', (address: string, init: RequestInit) =>
      address.startsWith('/')
        ? POST(new Request(new URL(address, window.location.href), init))
        : fetch(address, init),
    );
    await import('../../sdk/examples/browser/page.ts');
    const form = window.document.querySelector('form')!;
    window.document.querySelector('input')!.value = question;
    form.dispatchEvent(new window.Event('submit', { cancelable: true }));
    await vi.waitFor(() => expect(window.document.querySelector('main')!.textContent).toBe(poem), {
      timeout: 20_000,
    });
  } finally {
    await window.happyDOM.close();
  }
  const { outputFiles } = await build({
    entryPoints: [`${examples}browser/page.ts`],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['huozi-source'],
    write: false,
    logLevel: 'error',
  });
  expect(outputFiles[0]!.text).not.toMatch(/\bprocess\.|node:/);
});
