/** The documents. */
import { readdirSync, readFileSync } from 'node:fs';

export const root = new URL('../../', import.meta.url);

export const read = (page: string): string => readFileSync(new URL(page, root), 'utf8');

const docs = readdirSync(new URL('docs/', root), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)
  .toSorted();

export const pages: readonly string[] = [
  'README.md',
  'README.zh-CN.md',
  'sdk/README.md',
  'gpu-backend/README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...docs,
];

/** A page and its translation. */
export const bilingual: readonly [english: string, chinese: string][] = [
  ['README.md', 'README.zh-CN.md'],
  ...docs
    .filter((page) => page.startsWith('docs/zh/'))
    .map((page): [string, string] => [page.replace('/zh', ''), page]),
];
