/** What an admin does with keys. The key's own object is what counts; the directory keeps a copy to be listed. */
import type { Env } from '../env.ts';
import { EdgeError, refuse } from '../errors.ts';
import { keyHash, mintKey } from '../key.ts';
import { type KeyRecord, type KeySettings, type ShownKey, show } from '../keys/key-record.ts';
import { directory, keyObject } from '../keys/objects.ts';
import { log } from '../log.ts';

/** With the key itself, which is never shown again. */
export type FreshKey = ShownKey & { key: string };

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const idLength = 16;

export async function createKey(env: Env, settings: KeySettings): Promise<FreshKey> {
  const id = randomId();
  const key = await mint(env, id);
  const record: KeyRecord = {
    id,
    ...settings,
    hash: await keyHash(key),
    previous: null,
    created_at: Math.floor(Date.now() / 1000),
    revoked_at: null,
  };
  const shown = show(record);
  // Listed first: a key that is listed and does not open can be revoked, one that opens unlisted is lost sight of.
  await directory(env).put(shown);
  if (!(await keyObject(env, id).create(record))) throw new Error('two keys got the same id');
  log('key_created', { key: id });
  return { ...shown, key };
}

export async function readKey(env: Env, id: string): Promise<KeyRecord> {
  const record = isId(id) ? await keyObject(env, id).read() : undefined;
  if (!record) throw new EdgeError({ kind: 'key_not_found' });
  return record;
}

export async function updateKey(env: Env, id: string, change: Partial<KeySettings>): Promise<ShownKey> {
  return changed(env, 'key_updated', await keyObject(env, id).update(change));
}

/** Takes effect on the key's next request. What it has under way goes on. */
export async function revokeKey(env: Env, id: string): Promise<ShownKey> {
  await readKey(env, id);
  return changed(env, 'key_revoked', await keyObject(env, id).revoke());
}

/** @param overlapSeconds so long the key that is there opens as well */
export async function rotateKey(env: Env, id: string, overlapSeconds: number): Promise<FreshKey> {
  const { revoked_at } = await readKey(env, id);
  if (revoked_at !== null) {
    refuse('id', 'this key has been revoked.');
  }
  const key = await mint(env, id);
  const until = Math.floor(Date.now() / 1000) + overlapSeconds;
  const shown = await changed(env, 'key_rotated', await keyObject(env, id).rotate(await keyHash(key), until));
  return { ...shown, key };
}

async function changed(env: Env, event: string, record: KeyRecord | undefined): Promise<ShownKey> {
  if (!record) throw new EdgeError({ kind: 'key_not_found' });
  const shown = show(record);
  await directory(env).put(shown);
  log(event, { key: record.id });
  return shown;
}

async function mint({ KEY_SECRET }: Env, id: string): Promise<string> {
  try {
    return await mintKey(KEY_SECRET ?? '', id, crypto.getRandomValues(new Uint8Array(32)));
  } catch {
    throw new EdgeError({ kind: 'edge_misconfigured' }, 'KEY_SECRET is missing or too short');
  }
}

/** Whatever stands in a URL must not make an object. */
function isId(id: string): boolean {
  return /^[0-9A-Za-z]{1,32}$/.test(id);
}

/** 95 bits: no two keys meet. */
function randomId(): string {
  let id = '';
  while (id.length < idLength) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1)) as unknown as [number];
    // Higher ones would make the first letters likelier.
    if (byte < 248) id += alphabet[byte % 62];
  }
  return id;
}
