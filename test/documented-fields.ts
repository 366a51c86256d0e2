/** What OpenAI's own client documents, read from its types. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/**
 * @param file under the client's `resources/`
 * @param name of the interface
 */
export function documentedFields(file: string, name: string): string[] {
  const path = createRequire(import.meta.url)
    .resolve('openai')
    .replace(/index\.js$/, `resources/${file}.d.ts`);
  const source = readFileSync(path, 'utf8');
  const [, indent] = new RegExp(`^( *)(?:export )?interface ${name}\\b[^{]*\\{`, 'm').exec(source)!;
  const start = source.search(new RegExp(`^${indent}(export )?interface ${name}\\b[^{]*\\{`, 'm'));
  const end = source.indexOf(`\n${indent}}`, start);
  const field = new RegExp(`^${indent} {4}(\\w+)\\??:`, 'gm');
  return [...source.slice(start, end).matchAll(field)].map((match) => match[1]!);
}
