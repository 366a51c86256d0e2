/** What browser tests share: a page whose errors are the test's, what axe says of it, and its picture. */
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { AxeResults } from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { expect } from 'vitest';

const screenshots = fileURLToPath(new URL('../../dist/screenshots/', import.meta.url));
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** 360 CSS pixels wide, the narrowest that is common. */
export const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true } as const;

export interface Visit extends BrowserContextOptions {
  /** Console errors that the test provokes. */
  expected?: RegExp;
}

/** Opens a page with storage of its own; whatever it reports as an error, CSP's words among them, fails the test. */
export async function visit(
  browser: Browser,
  url: string,
  { expected, ...options }: Visit,
  look: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    locale: 'zh-CN',
    ...options,
  });
  const faults: string[] = [];
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (line) => {
      if (line.type() === 'error' && !expected?.test(line.text())) faults.push(line.text());
    });
    await page.goto(url);
    await look(page);
    expect(faults).toEqual([]);
  } catch (error) {
    // What a person would have seen; the errors that the page told say more than what was waited for in vain.
    const [page] = context.pages();
    if (page) await picture(page, 'failed').catch(() => undefined);
    if (faults.length > 0) throw new Error(`the page said: ${faults.join('; ')}`, { cause: error });
    throw error;
  } finally {
    await context.close();
  }
}

/** What axe calls serious or critical, in the state that the page is in. */
export async function seriousIssues(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const { violations } = await page.evaluate<AxeResults>('axe.run()');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
}

/** Keeps a picture in dist/screenshots. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: `${screenshots}${name}.png` });
}

/** Whether the page, or what it scrolls up and down, could also be moved sideways. */
export function movesSideways(page: Page): Promise<boolean> {
  return page.evaluate(() =>
    [document.documentElement, document.body, ...document.querySelectorAll('main, .turns')].some(
      (element) => element.scrollWidth > element.clientWidth,
    ),
  );
}
