/** Pages, and parts of pages, that are made of the code. */
import { apiPage } from './api.ts';
import { plans } from './tuning.ts';

interface Generated {
  file: URL;
  /** The whole page anew, from what it is now. */
  make(text: string): string | Promise<string>;
}

const page = (name: string) => new URL(`../${name}`, import.meta.url);

const begin = '<!-- plans: made by npm run docs -->\n';
const end = '<!-- end of plans -->';

/** Throws where the page has no place for it. */
async function withPlans(text: string): Promise<string> {
  const [before, rest] = text.split(begin);
  const [, after] = (rest ?? '').split(end);
  if (before === undefined || after === undefined)
    throw new Error(`no place for plans between ${begin}and ${end}`);
  return `${before}${begin}\n${await plans()}\n${end}${after}`;
}

export const generated: readonly Generated[] = [
  { file: page('api.md'), make: apiPage },
  { file: page('tuning.md'), make: withPlans },
  { file: page('zh/tuning.md'), make: withPlans },
];
