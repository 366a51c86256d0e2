/** `huozi/react` in a real browser before the real stack: a page of React's that is reloaded amid an answer. */

import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Stack, startStack } from '../stack.ts';
import { launchChromium } from './chromium.ts';
import { visit } from './visit.ts';

let browser: Browser;
let stack: Stack;
beforeAll(async () => {
  [browser, stack] = await Promise.all([launchChromium(), startStack()]);
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await stack?.stop();
});

/** Asks by itself when it is new, and shows what `useChat` says. */
const program = (apiKey: string) => `
  import { createElement as h, StrictMode, useEffect } from 'react';
  import { createRoot } from 'react-dom/client';
  import { Huozi } from 'huozi';
  import { useChat } from 'huozi/react';

  const huozi = new Huozi({ baseURL: '/v1', apiKey: () => '${apiKey}' });
  function Chat() {
    const asked = { model: 'huozi', temperature: 0, max_tokens: 400, ignore_eos: true };
    const { messages, status, error, send } = useChat({ huozi, id: 'test', ...asked });
    useEffect(() => void (location.hash === '#ask' && send('背诵《静夜思》')), []);
    return h('main', { 'data-status': status },
      h('p', null, messages.length, ' ', error?.message),
      h('pre', null, messages.at(-1)?.role === 'assistant' ? messages.at(-1).content : ''));
  }
  createRoot(document.querySelector('#root')).render(h(StrictMode, null, h(Chat)));
`;

it('useChat goes on after a reload: asked once, not a word lost, and kept when it is whole', async () => {
  const { outputFiles } = await build({
    stdin: { contents: program(stack.apiKey), resolveDir: new URL('../../sdk', import.meta.url).pathname },
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    conditions: ['huozi-source'],
    define: { 'process.env.NODE_ENV': '"development"' },
    logLevel: 'error',
  });
  const origin = new URL(stack.baseURL).origin;
  const html = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><div id="root"></div>';
  await visit(browser, 'about:blank', {}, async (page) => {
    await page.route(`${origin}/react`, (route) =>
      route.fulfill({ contentType: 'text/html', body: `${html}<script src="/react.js"></script>` }),
    );
    await page.route(`${origin}/react.js`, (route) =>
      route.fulfill({ contentType: 'text/javascript', body: outputFiles[0]!.text }),
    );
    const asked: string[] = [];
    page.on('response', (response) => {
      if (!response.url().includes('/v1/')) return;
      const kept = response.headers()['x-huozi-stream'];
      asked.push(`${response.request().method()} ${kept ?? new URL(response.url()).pathname}`);
    });
    // By the page itself, at its first words: a test that looks from outside may come when all has been said.
    await page.addInitScript(() => {
      if (location.hash !== '#ask') return;
      new MutationObserver((_, observer) => {
        if (!document.querySelector('pre')?.textContent) return;
        observer.disconnect();
        location.hash = '';
        location.reload();
      }).observe(document, { childList: true, subtree: true, characterData: true });
    });
    const reloaded = page.waitForEvent('framenavigated', (frame) => frame.url().endsWith('/react#'));
    await page.goto(`${origin}/react#ask`);
    await reloaded;
    await page.waitForEvent('load');
    await page.locator('main[data-status=ready] pre', { hasText: '床前明月光' }).waitFor();
    const text = await page.locator('pre').textContent();
    const path = asked[0]!.replace('POST ', '');
    expect(asked).toEqual([`POST ${path}`, `GET ${path}`]);

    const headers = { authorization: `Bearer ${stack.apiKey}` };
    const told = await (await fetch(origin + path, { headers })).text();
    const events = [...told.matchAll(/^data: (\{.*)$/gm)].map(([, json]) => JSON.parse(json!));
    expect(text).toBe(events.map(({ choices }) => choices[0]?.delta.content ?? '').join(''));

    await page.reload();
    await page.locator('main[data-status=ready]').waitFor();
    expect(await page.locator('pre').textContent()).toBe(text);
    expect(asked).toHaveLength(2);
  });
}, 120_000);
