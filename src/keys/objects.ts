/** Where the Durable Objects are found. */
import type { Env } from '../env.ts';
import type { DirectoryApi, KeyApi, Remote } from './key-api.ts';

export function keyObject(env: Env, id: string): Remote<KeyApi> {
  return env.KEYS.getByName(id);
}

export function directory(env: Env): Remote<DirectoryApi> {
  return env.KEY_DIRECTORY.getByName('directory');
}
