/** The secrets of a development machine: `.dev.vars`, made once, ignored by git, readable by its owner only. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';

const names = ['KEY_SECRET', 'NODE_TOKEN', 'ADMIN_TOKEN'] as const;

export type DevSecrets = Record<(typeof names)[number], string>;

/** Reads the file, adds what is missing (all of it on the first run), leaves every other line alone. */
export async function devSecrets(path: string): Promise<DevSecrets> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const found = parseEnv(text);
  const secrets = Object.fromEntries(
    names.map((name) => [name, found[name] || randomBytes(32).toString('base64url')]),
  ) as DevSecrets;
  const added = names.filter((name) => !found[name]).map((name) => `${name}=${secrets[name]}\n`);
  if (added.length > 0) {
    const separator = text && !text.endsWith('\n') ? '\n' : '';
    await writeFile(path, text + separator + added.join(''), { mode: 0o600 });
  }
  return secrets;
}
