/** The experts view and the operator's in a real browser, before a real node and before nodes that say what a test says. */
import type { ExpertTelemetry } from 'huozi-gpu-backend/protocol';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createKey } from '../../src/dev/dev-key.ts';
import { startWorker, type WorkerHost } from '../../src/dev/worker-host.ts';
import { ScriptedNode } from '../edge/scripted-node.ts';
import { type Stack, startStack } from '../stack.ts';
import { launchChromium } from './chromium.ts';
import { movesSideways, phone, picture, seriousIssues, type Visit, visit as visitWith } from './visit.ts';

/** The page draws after what it is told, not with it: what it shows is waited for. */
const within = { timeout: 25_000 };

// A page, a node and workerd share two cores; what is waited for has its own limit, in visit.ts.
vi.setConfig({ testTimeout: 90_000 });

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
}, 120_000);
afterAll(() => browser?.close());

/** What the page says where a key opens too little. */
const expected = /status of 40[13]/;

const visit = (url: string, options: Visit, look: (page: Page) => Promise<void>) =>
  visitWith(browser, url, { locale: 'en', expected, ...options }, look);

async function askForPoem(page: Page): Promise<void> {
  await page.locator('.ask input').fill('背诵《静夜思》');
  await page.locator('.ask button').click();
  // The token that ends the answer has no text, and is told with the end.
  await page.locator('.token.mute:last-child').waitFor();
  await page.locator('.map td').first().waitFor();
}

describe('before a real node', () => {
  let stack: Stack;
  let origin: string;
  let key: string;
  beforeAll(async () => {
    stack = await startStack();
    origin = new URL(stack.baseURL).origin;
    const settings = { name: 'watcher', scopes: ['inference', 'models', 'telemetry'] };
    key = (await createKey(origin, stack.adminToken, settings)).key;
  });
  afterAll(() => stack?.stop());

  it('a token shows its experts, in the list, in the map and to a screen reader', async () => {
    await visit(`${origin}/#/experts?key=${key}`, {}, async (page) => {
      await askForPoem(page);
      const tokens = page.getByRole('listbox').getByRole('option');
      expect((await tokens.allTextContents()).join('')).toMatch(/^床前明月光/);
      // One tab stop; arrows move.
      await page.getByRole('listbox').focus();
      await expect.poll(() => tokens.nth(0).getAttribute('aria-selected'), within).toBe('true');
      await page.keyboard.press('ArrowRight');
      await expect.poll(() => tokens.nth(1).getAttribute('aria-selected'), within).toBe('true');
      await page.keyboard.press('ArrowRight');
      await expect.poll(() => tokens.nth(2).getAttribute('aria-selected'), within).toBe('true');
      const active = await page.getByRole('listbox').getAttribute('aria-activedescendant');
      await expect
        .poll(() => page.locator(`[id="${active}"]`).textContent(), within)
        .toBe(await tokens.nth(2).textContent());

      const told = await page.locator('.route li .hidden').allTextContents();
      expect(told).toHaveLength(4);
      for (const [layer, text] of told.entries()) {
        const [, first, other] = /^Layer \d: (\d), (\d)$/.exec(text)!;
        const cells = page.locator('.map .heat').locator('tbody tr').nth(layer).locator('td');
        await expect.poll(() => cells.nth(Number(first)).getAttribute('class'), within).toMatch(/ first$/);
        await expect.poll(() => cells.nth(Number(other)).getAttribute('class'), within).toMatch(/ other$/);
      }
      await expect.poll(() => page.locator('.map td.first').count(), within).toBe(4);
      await picture(page, 'experts-light');
      expect(await seriousIssues(page)).toEqual([]);

      // The mouse shows, a click chooses.
      await tokens.nth(6).hover();
      await page.getByText('Route of token 7,').waitFor();
      await expect.poll(() => tokens.nth(2).getAttribute('aria-selected'), within).toBe('true');
      await page.getByRole('heading', { level: 2 }).hover();
      await page.getByText('Route of token 3,').waitFor();
      await tokens.nth(6).click();
      await expect.poll(() => tokens.nth(6).getAttribute('aria-selected'), within).toBe('true');
      await page.keyboard.press('Home');
      await expect.poll(() => tokens.nth(0).getAttribute('aria-selected'), within).toBe('true');
    });
  });

  it('the map is of what was counted, as a whole and lately, and a layer shows its pairs', async () => {
    await visit(`${origin}/#/experts?key=${key}`, { colorScheme: 'dark' }, async (page) => {
      await askForPoem(page);
      const rows = page.locator('.map .heat').locator('tbody tr');
      await expect.poll(() => rows.count(), within).toBe(4);
      // Two experts a token: each row is 200 % of its tokens, but for rounding.
      const shares = await rows.nth(1).locator('td:not(.measure) span:first-child').allTextContents();
      expect(Math.abs(shares.reduce((sum, share) => sum + Number(share), 0) - 200)).toBeLessThanOrEqual(4);
      await expect
        .poll(() => rows.nth(1).locator('td.measure').allTextContents(), within)
        .toEqual([expect.stringMatching(/^[12]\.\d\d$/), expect.stringMatching(/^\d\.\d\d×$/)]);
      await page.getByRole('button', { name: 'layer 3' }).click();
      await page.getByText('Active together in layer 3').first().waitFor();
      // The same experts are on the diagonal. Read at once: the map goes on.
      const [shown, diagonal] = await page.evaluate(() =>
        ['.map tr.chosen td:not(.measure) span:first-child', '.together td.self span'].map((cells) =>
          [...document.querySelectorAll(cells)].map(({ textContent }) => textContent),
        ),
      );
      expect(shown).toHaveLength(8);
      expect(diagonal).toEqual(shown);

      await page.getByLabel(/^Last/).check();
      await askForPoem(page);
      await page.waitForFunction(() =>
        /^[1-9]/.test(document.querySelector('.map td.measure + .measure')?.textContent ?? ''),
      );
      await picture(page, 'experts-dark');
      expect(await seriousIssues(page)).toEqual([]);
    });
  });

  it('on a phone, in Chinese: a tap chooses, and nothing is wider than the page', async () => {
    await visit(`${origin}/#/experts?key=${key}`, { ...phone, locale: 'zh-CN' }, async (page) => {
      await askForPoem(page);
      const token = page.getByRole('listbox').getByRole('option').nth(4);
      await token.tap();
      await expect.poll(() => token.getAttribute('aria-selected'), within).toBe('true');
      await page.getByText('第 5 个 token').waitFor();
      expect(await movesSideways(page)).toBe(false);
      await picture(page, 'experts-phone');
      expect(await seriousIssues(page)).toEqual([]);
    });
  });

  it('the chat records routes when it is told to, and leads to the map', async () => {
    await visit(`${origin}/#/experts?key=${key}`, {}, async (page) => {
      await page.getByLabel('Record routes in the chat').check();
      await page.getByRole('link', { name: 'Chat' }).click();
      await page.locator('.composer textarea').fill('背诵《静夜思》');
      await page.locator('.composer textarea').press('Enter');
      await page.getByText('Routes of its tokens').click();
      await page.getByRole('listbox').getByRole('option').nth(1).waitFor();
      await page.locator('.turns[aria-busy=false]').waitFor();
      await page.getByRole('listbox').getByRole('option').nth(1).click();
      await expect.poll(() => page.locator('.route li').count(), within).toBe(4);
      await picture(page, 'chat-routes');
      expect(await seriousIssues(page)).toEqual([]);
      await page.getByRole('link', { name: 'See it in the map' }).click();
      await page.locator('.map td.first').first().waitFor();
      await expect.poll(() => page.locator('.map td.first').count(), within).toBe(4);
      await expect
        .poll(
          () => page.getByRole('listbox').getByRole('option').nth(1).getAttribute('aria-selected'),
          within,
        )
        .toBe('true');
    });
  });

  it('a key without the scope is told so; the operator’s token does instead', async () => {
    const { key: plain } = await createKey(origin, stack.adminToken, { name: 'plain' });
    await visit(`${origin}/#/experts?key=${plain}`, {}, async (page) => {
      await page.getByText('lacks the scope').waitFor();
      await expect.poll(() => page.locator('.map td').count(), within).toBe(0);
    });
    await visit(`${origin}/#/experts?key=${plain}&admin=${stack.adminToken}`, {}, async (page) => {
      await page.locator('.map td').first().waitFor();
      await expect.poll(() => page.getByText('lacks the scope').count(), within).toBe(0);
    });
  });

  it('the operator logs in for this tab alone, and sees nodes, charts and usage by key', async () => {
    const used = async () => {
      const headers = { authorization: `Bearer ${stack.adminToken}` };
      const report = await fetch(`${origin}/admin/usage?group_by=key`, { headers });
      return ((await report.json()) as { data: unknown[] }).data.length > 0;
    };
    const asked = await fetch(`${stack.baseURL}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ model: 'huozi', messages: [{ role: 'user', content: '你好' }], max_tokens: 4 }),
    });
    expect(asked.status).toBe(200);
    await asked.text();
    // Keys report what was used by themselves, within some ten seconds.
    while (!(await used())) await new Promise((resolve) => setTimeout(resolve, 200));
    await visit(`${origin}/#/operator?key=${key}`, {}, async (page) => {
      await page.getByLabel('Admin token').fill('not-the-token');
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.getByRole('alert').getByText('not the token').waitFor();
      await page.getByLabel('Admin token').fill(stack.adminToken);
      expect(await seriousIssues(page)).toEqual([]);
      await page.getByRole('button', { name: 'Log in' }).click();

      const node = page.locator('.nodes tbody tr');
      await node.getByText('ready').waitFor();
      await expect.poll(() => node.count(), within).toBe(1);
      await expect.poll(() => node.textContent(), within).toContain(new URL(stack.node.url).host);
      await page.getByRole('button', { name: 'watcher' }).waitFor();
      await expect.poll(() => page.locator('.chart').count(), within).toBe(5);
      // A rate is a difference of two looks.
      await page.waitForFunction(() => document.querySelector('.nodes td:nth-child(7)')?.textContent !== '–');
      const stored = await page.evaluate(() =>
        [sessionStorage, localStorage].map((one) => JSON.stringify(one)),
      );
      expect(stored[0]).toContain(stack.adminToken);
      expect(stored[1]).not.toContain(stack.adminToken);
      await picture(page, 'operator-light');
      expect(await seriousIssues(page)).toEqual([]);
      await page.getByRole('button', { name: 'watcher' }).click();
      await page.getByText('watcher · by the hour').first().waitFor();

      await page.getByRole('button', { name: 'Log out' }).click();
      await page.getByLabel('Admin token').waitFor();
      expect(await page.evaluate(() => JSON.stringify(sessionStorage))).not.toContain(stack.adminToken);
    });
    await visit(
      `${origin}/#/operator?admin=${stack.adminToken}`,
      { ...phone, colorScheme: 'dark' },
      async (page) => {
        await page.getByRole('button', { name: 'watcher' }).waitFor();
        // An operator needs no client's key.
        await expect.poll(() => page.getByRole('dialog').count(), within).toBe(0);
        expect(await movesSideways(page)).toBe(false);
        await picture(page, 'operator-phone');
        expect(await seriousIssues(page)).toEqual([]);
      },
    );
  });
});

describe('before nodes of 32 layers', () => {
  const nodes = [new ScriptedNode(), new ScriptedNode()];
  const adminToken = 'an-admin-token-for-the-browser';
  let worker: WorkerHost;
  beforeAll(async () => {
    for (const node of nodes) await node.start();
    nodes[0]!.experts = telemetry(32, 8);
    nodes[0]!.info = {
      model: 'huozi',
      context_length: 4096,
      slots: 4,
      active: 4,
      queued: 3,
      queued_tokens: 900,
    };
    nodes[1]!.info = { model: 'huozi', context_length: 4096, slots: 4, active: 0, draining: true };
    const bindings = {
      NODE_URLS: nodes.map(({ url }) => url).join(','),
      NODE_TOKEN: nodes[0]!.token,
      KEY_SECRET: 'a secret for tests of the browser',
      ADMIN_TOKEN: adminToken,
    };
    worker = await startWorker({ port: 0, bindings });
  });
  afterAll(async () => {
    await worker?.stop();
    for (const node of nodes) await node.stop();
  });

  it('the map has them all, names the node that is silent, and follows what is counted', async () => {
    const { key } = await createKey(worker.url, adminToken, { name: 'a', scopes: ['models', 'telemetry'] });
    await visit(`${worker.url}/#/experts?key=${key}`, {}, async (page) => {
      await page.locator('.map td').first().waitFor();
      const rows = page.locator('.map .heat').locator('tbody tr');
      await expect.poll(() => rows.count(), within).toBe(32);
      await page.getByText('(silent)').waitFor();
      await expect.poll(() => rows.nth(0).locator('td').nth(7).getAttribute('class'), within).toBe('h0');
      nodes[0]!.experts = telemetry(32, 8, 100);
      await page.getByText('150 tokens counted').waitFor();
      await expect.poll(() => rows.nth(0).locator('td').nth(7).getAttribute('class'), within).toBe('h8');
      await picture(page, 'experts-32');
      expect(await seriousIssues(page)).toEqual([]);
    });
  });

  it('a node that is full and one that is draining are shown so', async () => {
    await visit(`${worker.url}/#/operator?admin=${adminToken}`, {}, async (page) => {
      const rows = page.locator('.nodes tbody tr');
      await rows.nth(0).getByText('full').waitFor();
      await expect.poll(() => rows.nth(0).textContent(), within).toContain('900 tokens');
      await rows.nth(1).getByText('draining').waitFor();
    });
  });
});

/** All went to the first two experts, and `more` tokens to the last two. */
function telemetry(layerCount: number, experts: number, more = 0): ExpertTelemetry {
  const counts = Array.from({ length: experts }, (_, at) => (at < 2 ? 50 : at >= experts - 2 ? more : 0));
  const tokens = 50 + more;
  const co_activation = counts.map((count, row) =>
    counts.map((_, column) => (row >> 1 === column >> 1 ? count : 0)),
  );
  const layer = { tokens, counts, entropy: 1, imbalance: 4, co_activation };
  const sums = { steps: 900, steps_sampled: 30, tokens_sampled: tokens, sampling_cost: 0.01 };
  const layers = Array.from({ length: layerCount }, () => layer);
  return { mode: 'sampled', since: 1, experts, experts_used: 2, ...sums, layers };
}
