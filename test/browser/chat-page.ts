/** The playground's chat as a person uses it. */
import type { Page } from 'playwright-core';

export const box = (page: Page) => page.locator('.composer textarea');
export const answers = (page: Page) => page.locator('.turns .assistant');
export const answerText = (page: Page) => answers(page).last().locator('.prose').textContent();

/** All answers under way have ended. */
export async function settled(page: Page): Promise<void> {
  await page.locator('.turns[aria-busy=false]').waitFor();
}

export async function say(page: Page, text: string): Promise<void> {
  const before = await answers(page).count();
  await box(page).fill(text);
  await box(page).press('Enter');
  await answers(page).nth(before).waitFor();
}

/** Further fields of the next requests, through the settings, as a person would. */
export async function send(page: Page, extra: object, sampling: Record<string, number> = {}): Promise<void> {
  await page.getByRole('button', { name: /^(设置|Settings)$/ }).click();
  await page.locator('textarea[name=extra]').fill(JSON.stringify(extra));
  for (const [name, value] of Object.entries(sampling))
    await page.locator(`input[name=${name}]`).fill(String(value));
  await page.locator('dialog button[type=submit]').click();
}

/** Greedy and without end, so that it can be caught in the middle and told again. */
export const endless = async (page: Page, tokens: number) =>
  send(page, { ignore_eos: true }, { temperature: 0, max_tokens: tokens });
