/**
 * Cached prefixes on disk, so that a restart need not evaluate them again.
 *
 *     index.json       which model and llama.cpp wrote them; per prefix its file, tenant, tokens, size, SHA-256
 *     <random>.state   llama.cpp's sequence file: token ids, keys, values
 *
 * Readable by the owner only. A prefix that is damaged, or was made by another model, KV type or llama.cpp, is ignored:
 * it would not fail but answer nonsense.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { NativeContext } from '../native/context.ts';
import type { PrefixCache } from './prefix-cache.ts';

const format = 1;
const indexFile = 'index.json';
const statePattern = /^[0-9a-f-]{36}\.state$/;
/** Shorter ones are evaluated sooner than read. */
const leastTokens = 32;

const indexSchema = z.strictObject({
  format: z.literal(format),
  fingerprint: z.string(),
  /** Most recently used first. */
  prefixes: z.array(
    z.strictObject({
      file: z.string().regex(statePattern),
      tenant: z.string(),
      tokens: z.int().positive(),
      bytes: z.int().positive(),
      sha256: z.string(),
    }),
  ),
});

type Index = z.infer<typeof indexSchema>;

type States = Pick<NativeContext, 'saveState' | 'loadState' | 'stateBytes' | 'lastErrors'>;

export interface Restored {
  prefixes: number;
  tokens: number;
  ignored: string[];
}

/** Weights cannot all be read for it: size, header and samples along the file tell models apart. */
export async function modelFingerprint(path: string, ...more: string[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(more));
  const { size } = await stat(path);
  hash.update(String(size));
  const file = await open(path);
  try {
    const block = Buffer.alloc(64 * 1024);
    for (let i = 0; i <= 16; i++) {
      const at = Math.floor((Math.max(0, size - block.length) * i) / 16);
      const { bytesRead } = await file.read(block, 0, block.length, at);
      hash.update(block.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/** Replaces what the folder holds by what is cached now, as much as `maxBytes` allow. @returns prefixes written */
export async function savePrefixes(
  directory: string,
  fingerprint: string,
  cache: PrefixCache,
  states: States,
  maxBytes: number,
): Promise<number> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const prefixes: Index['prefixes'] = [];
  let total = 0;
  for (const { tenant, tokens, id } of cache.prefixes()) {
    if (tokens.length < leastTokens || total + states.stateBytes(id) > maxBytes) continue;
    const file = `${randomUUID()}.state`;
    const path = join(directory, file);
    // Made first, with its rights: llama.cpp would let everybody read it.
    await writeFile(path, '', { mode: 0o600 });
    const bytes = await states.saveState(id, path, tokens);
    if (bytes === 0) throw new Error(`${path} could not be written`);
    total += bytes;
    prefixes.push({ file, tenant, tokens: tokens.length, bytes, sha256: await sha256(path) });
  }
  const index: Index = { format, fingerprint, prefixes };
  const path = join(directory, indexFile);
  await writeFile(`${path}.new`, JSON.stringify(index, null, 1), { mode: 0o600 });
  await chmod(`${path}.new`, 0o600);
  await rename(`${path}.new`, path);
  const kept = new Set(prefixes.map(({ file }) => file));
  for (const file of await readdir(directory))
    if (statePattern.test(file) && !kept.has(file)) await rm(join(directory, file), { force: true });
  return prefixes.length;
}

/** Never fails: what cannot be used is named in `ignored`. */
export async function restorePrefixes(
  directory: string,
  fingerprint: string,
  cache: PrefixCache,
  states: States,
): Promise<Restored> {
  const restored: Restored = { prefixes: 0, tokens: 0, ignored: [] };
  let index: Index;
  try {
    index = indexSchema.parse(JSON.parse(await readFile(join(directory, indexFile), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      restored.ignored.push(`${indexFile}: not readable`);
    return restored;
  }
  if (index.fingerprint !== fingerprint) {
    restored.ignored.push(`${indexFile}: made with another model, KV type or llama.cpp`);
    return restored;
  }
  // The most recently used one last, so that it is the last to be evicted.
  for (const { file, tenant, tokens: count, bytes, sha256: expected } of index.prefixes.reverse()) {
    const path = join(directory, file);
    // A file holds its tokens, too: more of them than fit it are not to be made room for.
    const isWhole = await stat(path)
      .then(async ({ size }) => size === bytes && 4 * count <= size && (await sha256(path)) === expected)
      .catch(() => false);
    if (!isWhole) {
      restored.ignored.push(`${file}: missing or damaged`);
      continue;
    }
    const tokens = new Int32Array(count);
    let reason = 'no room';
    const load = async (id: number) => {
      const loaded = await states.loadState(id, path, count);
      if (loaded?.length === count) tokens.set(loaded);
      else reason = states.lastErrors() || 'does not suit this context';
      return loaded?.length === count;
    };
    if (await cache.restore(tenant, tokens, load)) {
      restored.prefixes++;
      restored.tokens += count;
    } else restored.ignored.push(`${file}: ${reason}`);
  }
  return restored;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: 1024 * 1024 }))
    hash.update(bytes as Buffer);
  return hash.digest('hex');
}
