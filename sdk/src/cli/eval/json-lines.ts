/** JSON Lines files, also gzipped, and errors that say which line. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { UsageError } from '../terminal.ts';

/**
 * @param path the file, or a folder that has it under one of `names` (or that name and `.gz`)
 * @param needed names that every line must have, and their types
 */
export async function jsonLines<Line>(
  path: string,
  names: string | readonly string[],
  needed: Partial<Record<keyof Line & string, 'string' | 'number' | 'object'>>,
): Promise<Line[]> {
  const file = await fileAt(path, typeof names === 'string' ? [names] : names);
  const bytes = await readFile(file);
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  const lines: Line[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    if (!line.trim()) continue;
    let value: Record<string, unknown>;
    try {
      value = Object(JSON.parse(line));
    } catch {
      throw new UsageError(`${file}: line ${at + 1} is no JSON`);
    }
    for (const [name, type] of Object.entries(needed)) {
      if (typeof value[name] !== type) throw new UsageError(`${file}: line ${at + 1}: ${name} is no ${type}`);
    }
    lines.push(value as Line);
  }
  if (lines.length === 0) throw new UsageError(`${file} is empty`);
  return lines;
}

async function fileAt(path: string, names: readonly string[]): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return path;
  if (found?.isDirectory()) {
    for (const name of names.flatMap((name) => [name, `${name}.gz`])) {
      const file = join(path, name);
      if ((await stat(file).catch(() => undefined))?.isFile()) return file;
    }
    throw new UsageError(`${path} has no ${names.join(' or ')}`);
  }
  throw new UsageError(`${path} is not there`);
}
