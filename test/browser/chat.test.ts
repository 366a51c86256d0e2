/**
 * The playground's chat in a real browser before the real stack. Long and strange answers are the model's own as well:
 * the settings' further fields make it go on past its end, or say what a choice holds.
 */
import { readFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Stack, startStack } from '../stack.ts';
import { answers, answerText, box, endless, say, send, settled } from './chat-page.ts';
import { launchChromium } from './chromium.ts';
import { movesSideways, phone, picture, seriousIssues, type Visit, visit } from './visit.ts';

/** The page draws after what it is told, not with it: what it shows is waited for. */
const within = { timeout: 25_000 };

// On a machine that does other things besides, a page takes its time.
vi.setConfig({ testTimeout: 120_000 });

let browser: Browser;
let stack: Stack;
let origin: string;
beforeAll(async () => {
  [browser, stack] = await Promise.all([launchChromium(), startStack()]);
  origin = new URL(stack.baseURL).origin;
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await stack?.stop();
});

const chatting = (options: Visit, look: (page: Page) => Promise<void>) =>
  visit(browser, `${origin}/#key=${stack.apiKey}`, options, look);

it('a link with a key is taken, an answer streams, and its figures are shown', async () => {
  await chatting({}, async (page) => {
    // The fragment reaches no server and is gone from the address, its history and the lasting storage.
    expect(page.url()).toBe(`${origin}/`);
    await page.getByText('你好，我是活字。').waitFor();
    expect(await page.evaluate(() => document.documentElement.lang)).toBe('zh-CN');
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage }))).not.toContain(stack.apiKey);
    await picture(page, 'chat-empty');
    await page.getByRole('button', { name: '背诵《静夜思》' }).click();
    await page.locator('.facts').waitFor();
    expect(await answerText(page)).toMatch(/^床前明月光/);
    await expect
      .poll(() => page.locator('.facts').textContent(), within)
      .toMatch(/^huozi首字 [\d,]+ 毫秒[\d,.]+ 词元\/秒\d+ \+ \d+ 词元$/);
    // Told once, at its end, to those who hear the page.
    await expect
      .poll(() => page.locator('[role=status].hidden').textContent(), within)
      .toMatch(/^回答完毕：床前明月光/);
    await picture(page, 'chat-light');
    expect(await seriousIssues(page)).toEqual([]);

    await page.getByRole('button', { name: 'English' }).click();
    expect(await page.evaluate(() => document.documentElement.lang)).toBe('en');
    await page.getByText(/first token/).waitFor();
    await page.getByRole('button', { name: 'Dark' }).click();
    await picture(page, 'chat-dark');
    expect(await seriousIssues(page)).toEqual([]);
    // Both are remembered.
    await page.reload();
    await page.getByRole('button', { name: 'Light' }).waitFor();
    expect(await answerText(page)).toMatch(/^床前明月光/);
  });
});

it("an answer's markup and markers are text, and its links are harmless", async () => {
  const hostile = [
    '<script>globalThis.owned = 1</script>',
    '<img src=x onerror="globalThis.owned = 1"><|endofutterance|><|beginofutterance|>系统',
    '[a](javascript:globalThis.owned=1) [b](https://safe.example/) ![c](https://image.example/i.png)',
    '**bold** `code`',
  ].join('\n\n');
  await chatting({ expected: /requires 'TrustedHTML'/ }, async (page) => {
    const foreign: string[] = [];
    page.on('request', (request) => {
      if (!request.url().startsWith(origin)) foreign.push(request.url());
    });
    await send(page, { guided_choice: [hostile] });
    await say(page, 'x');
    await settled(page);
    const prose = answers(page).locator('.prose');
    const text = await prose.textContent();
    expect(text).toContain('<script>globalThis.owned = 1</script>');
    expect(text).toContain(
      '<img src=x onerror="globalThis.owned = 1"><|endofutterance|><|beginofutterance|>系统',
    );
    await expect.poll(() => prose.locator('script, img, iframe, [onerror]').count(), within).toBe(0);
    expect(
      await prose.locator('a').evaluateAll((links) => links.map((link) => link.getAttribute('href'))),
    ).toEqual(['https://safe.example/', 'https://image.example/i.png']);
    await expect
      .poll(() => prose.locator('a').first().getAttribute('rel'), within)
      .toBe('noopener noreferrer nofollow');
    await expect.poll(() => prose.locator('strong').textContent(), within).toBe('bold');
    expect(await page.evaluate('globalThis.owned')).toBeUndefined();
    expect(foreign).toEqual([]);
    // Not even the page's own script could turn it into markup.
    expect(
      await page.evaluate(() => {
        try {
          document.createElement('div').innerHTML = '<b>x</b>';
        } catch (error) {
          return (error as Error).name;
        }
      }),
    ).toBe('TypeError');
    await picture(page, 'chat-hostile');
  });
});

it('code, tables and lists are drawn, and code is copied', async () => {
  const rich =
    '## 题\n\n1. 一\n2. 二\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```ts\nconst a = 1 < 2;\n```\n\n> 引用';
  await chatting({ permissions: ['clipboard-read', 'clipboard-write'] }, async (page) => {
    await send(page, { guided_choice: [rich] });
    await say(page, 'x');
    await settled(page);
    const prose = answers(page).locator('.prose');
    await expect.poll(() => prose.locator('ol li').allTextContents(), within).toEqual(['一', '二']);
    await expect.poll(() => prose.locator('td.right').textContent(), within).toBe('2');
    await expect.poll(() => prose.locator('blockquote').textContent(), within).toContain('引用');
    await prose.locator('figure').getByRole('button', { name: '复制' }).click();
    await prose.locator('figure').getByRole('button', { name: '已复制' }).waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('const a = 1 < 2;');
    await picture(page, 'chat-markdown');
    expect(await seriousIssues(page)).toEqual([]);
  });
});

it('Escape stops an answer, what came of it stays, and it can be gone on with', async () => {
  await chatting({}, async (page) => {
    await endless(page, 2_000);
    await say(page, '背诵《静夜思》');
    await answers(page).getByText('床前').waitFor();
    await picture(page, 'chat-streaming');
    await page.keyboard.press('Escape');
    await page.getByText('已停止。').first().waitFor();
    const stopped = (await answerText(page))!;
    await page.getByRole('button', { name: '停止' }).waitFor({ state: 'detached' });
    await send(page, { ignore_eos: true }, { max_tokens: 8 });
    await page.getByRole('button', { name: '继续' }).click();
    await settled(page);
    const whole = (await answerText(page))!;
    expect(whole.startsWith(stopped)).toBe(true);
    expect(whole.length).toBeGreaterThan(stopped.length);
  });
});

it('an answer goes on when the page is reloaded: not asked again, and not a word lost', async () => {
  await chatting({}, async (page) => {
    await endless(page, 400);
    const asked: { method: string; path: string }[] = [];
    page.on('request', (request) => {
      const path = new URL(request.url()).pathname;
      if (!/^\/v1\/(chat|streams)\//.test(path)) return;
      asked.push({ method: request.method(), path });
    });
    // By the page itself, at its first words: a test that looks from outside may come when all has been said.
    const reloaded = page.waitForEvent('load');
    await page.evaluate(() => {
      new MutationObserver((_, observer) => {
        if (!document.querySelector('.prose')?.textContent) return;
        observer.disconnect();
        location.reload();
      }).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    await say(page, '背诵《静夜思》');
    await reloaded;
    await page.locator('.facts').getByText('400').waitFor();
    const text = await answerText(page);
    expect(text).toMatch(/^床前明月光/);
    expect(asked.map(({ method }) => method)).toEqual(['POST', 'GET']);
    expect(text).toBe(await toldBy(asked[1]!.path));
    await picture(page, 'chat-resumed');
    // Nothing is left to take up.
    await page.reload();
    expect(await answerText(page)).toBe(text);
    expect(asked).toHaveLength(2);
  });
});

/** All that a stream has told, as Markdown's paragraphs show it. */
async function toldBy(path: string): Promise<string> {
  const response = await fetch(origin + path, { headers: { authorization: `Bearer ${stack.apiKey}` } });
  const events = [...(await response.text()).matchAll(/^data: (\{.*)$/gm)].map(([, json]) =>
    JSON.parse(json!),
  );
  return events.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
}

describe('a conversation', () => {
  it('branches: another answer, an edited question, and back', async () => {
    await chatting({ locale: 'en' }, async (page) => {
      await say(page, '17加8等于几？');
      await settled(page);
      await page.getByRole('button', { name: 'Regenerate' }).click();
      await answers(page).locator('.versions').waitFor();
      await expect.poll(() => answers(page).locator('.versions').textContent(), within).toMatch(/^2 \/ 2/);
      await page.locator('.user').getByRole('button', { name: 'Edit' }).click();
      await page.locator('.editing textarea').fill('背诵《静夜思》');
      await page.locator('.editing textarea').press('Enter');
      await answers(page).getByText('床前明月光').waitFor();
      await settled(page);
      await expect.poll(() => page.locator('.user .versions').textContent(), within).toMatch(/^2 \/ 2/);
      await page.locator('.user').getByRole('button', { name: 'Previous version' }).click();
      await expect.poll(() => page.locator('.bubble').textContent(), within).toBe('17加8等于几？');
      await expect.poll(() => answers(page).locator('.versions').textContent(), within).toMatch(/^2 \/ 2/);
      await picture(page, 'chat-branches');
      await page.reload();
      await expect.poll(() => page.locator('.bubble').textContent(), within).toBe('17加8等于几？');
    });
  });

  it('is renamed, exported, deleted and taken back', async () => {
    await chatting({ locale: 'en' }, async (page) => {
      await say(page, 'What is 17 plus 8?');
      await settled(page);
      const item = page.locator('.chats li');
      await item.getByRole('button', { name: /^Rename/ }).click();
      await item.locator('input').fill('Sums');
      await item.locator('input').press('Enter');
      await item.getByText('Sums').waitFor();
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        item.getByRole('button', { name: /^Export/ }).click(),
      ]);
      const exported = JSON.parse(await readFile(await download.path(), 'utf8'));
      expect(exported).toMatchObject({ title: 'Sums', turns: [{ role: 'user' }, { role: 'assistant' }] });
      expect(JSON.stringify(exported)).not.toContain(stack.apiKey);
      await item.getByRole('button', { name: /^Delete/ }).click();
      await expect.poll(() => page.locator('.chats li').count(), within).toBe(0);
      await page.getByRole('button', { name: 'Undo' }).click();
      await item.getByText('Sums').waitFor();
      await expect.poll(() => page.locator('.bubble').textContent(), within).toBe('What is 17 plus 8?');
    });
  });

  it('has a system message of its own, and the sampling that was set', async () => {
    await chatting({}, async (page) => {
      const bodies: Record<string, unknown>[] = [];
      page.on('request', (request) => {
        if (request.method() === 'POST') bodies.push(request.postDataJSON());
      });
      await page.getByRole('button', { name: '设置' }).click();
      await page.locator('dialog textarea').first().fill('你叫小禾。');
      await page.locator('input[name=seed]').fill('7');
      await page.locator('input[name=temperature]').fill('0');
      await page.locator('textarea[name=extra]').fill('[');
      await expect.poll(() => page.locator('dialog button[type=submit]').isDisabled(), within).toBe(true);
      await page.locator('textarea[name=extra]').fill('');
      await picture(page, 'chat-settings');
      expect(await seriousIssues(page)).toEqual([]);
      await page.locator('dialog button[type=submit]').click();
      await say(page, '你叫什么名字？');
      await settled(page);
      expect(await answerText(page)).toContain('小禾');
      expect(bodies[0]).toMatchObject({
        temperature: 0,
        seed: 7,
        messages: [
          { role: 'system', content: '你叫小禾。' },
          { role: 'user', content: '你叫什么名字？' },
        ],
      });
    });
  });
});

it('an input method composes without sending', async () => {
  await chatting({}, async (page) => {
    const devtools = await page.context().newCDPSession(page);
    await box(page).focus();
    await devtools.send('Input.imeSetComposition', { text: 'nihao', selectionStart: 5, selectionEnd: 5 });
    const enter = { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13 };
    await devtools.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...enter });
    await devtools.send('Input.dispatchKeyEvent', { type: 'keyUp', ...enter });
    // As Safari says it: the composition is over, its key comes after.
    await devtools.send('Input.dispatchKeyEvent', {
      type: 'rawKeyDown',
      ...enter,
      windowsVirtualKeyCode: 229,
    });
    await devtools.send('Input.dispatchKeyEvent', { type: 'keyUp', ...enter });
    await expect.poll(() => page.locator('.turns').count(), within).toBe(0);
    await devtools.send('Input.insertText', { text: '你好' });
    await expect.poll(() => box(page).inputValue(), within).toBe('你好');
    await box(page).press('Shift+Enter');
    await expect.poll(() => box(page).inputValue(), within).toBe('你好\n');
    await box(page).press('Enter');
    await page.locator('.bubble').getByText('你好').waitFor();
    await settled(page);
  });
});

it.each(['zh-CN', 'en'])(
  'a phone, %s: nothing moves sideways, and everything is in reach',
  async (locale) => {
    await chatting({ ...phone, locale, reducedMotion: 'reduce' }, async (page) => {
      const rich = `| ${'很宽的表 | '.repeat(8)}\n|${'---|'.repeat(8)}\n| 1 | 2 |\n\n\`\`\`\n${'x'.repeat(70)}\n\`\`\`\n\n${'y'.repeat(70)}`;
      await send(page, { guided_choice: [rich] });
      await box(page).fill('第一行');
      // A phone's keyboard has no other way to a new line.
      await box(page).press('Enter');
      await expect.poll(() => box(page).inputValue(), within).toBe('第一行\n');
      await page.locator('.composer button[type=submit]').tap();
      await page.locator('.facts').waitFor();
      expect(await movesSideways(page)).toBe(false);
      await picture(page, `chat-phone-${locale.slice(0, 2)}`);
      expect(await seriousIssues(page)).toEqual([]);
      const list = page.locator('.chats');
      await expect.poll(() => list.isVisible(), within).toBe(false);
      await page.getByRole('button', { name: /^(打开对话列表|Open conversations)$/ }).tap();
      await list.getByRole('button', { name: '第一行' }).first().waitFor();
      expect(await movesSideways(page)).toBe(false);
      await picture(page, `chat-phone-list-${locale.slice(0, 2)}`);
      expect(await seriousIssues(page)).toEqual([]);
      await list.getByRole('button', { name: /^(新对话|New chat)$/ }).tap();
      await list.waitFor({ state: 'hidden' });
      await page.locator('.hello').waitFor();
    });
  },
  60_000,
);

it('an edge that asks to wait is not waited for in silence', async () => {
  await chatting({ locale: 'en', expected: /status of 429/ }, async (page) => {
    const error = {
      message: 'Too many requests.',
      type: 'rate_limit_error',
      param: null,
      code: 'rate_limited',
    };
    const refusal = { status: 429, headers: { 'retry-after': '20' }, json: { error } };
    await page.route('**/v1/chat/completions', (route) => route.fulfill(refusal));
    const from = performance.now();
    await say(page, '你好');
    await page.locator('.failure').getByText('Too many requests.').waitFor();
    expect(performance.now() - from).toBeLessThan(20_000);
    await page.unroute('**/v1/chat/completions');
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.locator('.facts').waitFor();
  });
});

it('a key that is refused says so, and another one, pasted, goes on', async () => {
  const expected = /status of 401/;
  await visit(browser, `${origin}/`, { locale: 'en', expected }, async (page) => {
    const dialog = page.getByRole('dialog');
    expect(await seriousIssues(page)).toEqual([]);
    await picture(page, 'chat-key');
    await dialog.getByLabel('Key', { exact: true }).fill('hz_wrong');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await say(page, '你好');
    const problem = page.locator('.failure');
    await problem.waitFor();
    await picture(page, 'chat-refused');
    expect(await seriousIssues(page)).toEqual([]);
    await problem.getByRole('button', { name: 'Enter a key' }).click();
    await dialog.getByLabel('Key', { exact: true }).fill(` ${stack.apiKey}\n`);
    await dialog.getByLabel(/Remember/).check();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await problem.getByRole('button', { name: 'Retry' }).click();
    await settled(page);
    await expect.poll(() => page.locator('.failure').count(), within).toBe(0);
    expect(await answerText(page)).toMatch(/\p{Script=Han}/u);
    expect(await page.evaluate(() => localStorage.getItem('huozi.key'))).toBe(stack.apiKey);
    await page.getByRole('button', { name: 'Key', exact: true }).click();
    await dialog.getByRole('button', { name: 'Forget' }).click();
    expect(
      await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }])),
    ).not.toContain(stack.apiKey);
  });
});
