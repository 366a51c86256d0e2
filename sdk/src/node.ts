/** `huozi/node`: where a program on a server gets its key and address from. */
import { readFile } from 'node:fs/promises';
import { env } from 'node:process';
import { Huozi, type HuoziOptions } from './client.ts';
import { HuoziError } from './errors.ts';

/** A key's file is looked at again after so long, ms: a key that was rotated is noticed without a restart. */
const freshFor = 10_000;

/**
 * A key that stands in a file, as secrets are mounted; read again when it may have changed.
 *
 * @example
 * const huozi = new Huozi({ baseURL, apiKey: keyFromFile('/run/secrets/huozi-key') });
 */
export function keyFromFile(path: string | URL): () => Promise<string> {
  let key = '';
  let readAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (performance.now() - readAt < freshFor) return key;
    try {
      key = (await readFile(path, 'utf8')).trim();
    } catch (cause) {
      throw new HuoziError(`The key's file cannot be read: ${path}`, { code: 'no_key', cause });
    }
    readAt = performance.now();
    return key;
  };
}

/**
 * The key of the environment: `HUOZI_API_KEY`, or the file that `HUOZI_API_KEY_FILE` names. Asked at each call, so a
 * test may set it late.
 *
 * @example
 * const huozi = new Huozi({ baseURL, apiKey: keyFromEnv() });
 */
export function keyFromEnv(): () => Promise<string> {
  let file: { path: string; read: () => Promise<string> } | undefined;
  return async () => {
    const { HUOZI_API_KEY: key, HUOZI_API_KEY_FILE: path } = env;
    if (key) return key;
    if (!path) throw new HuoziError('Set HUOZI_API_KEY or HUOZI_API_KEY_FILE', { code: 'no_key' });
    if (file?.path !== path) file = { path, read: keyFromFile(path) };
    return file.read();
  };
}

/**
 * A client with what the environment says: `HUOZI_BASE_URL` (default `http://127.0.0.1:8787/v1`, where `npm start`
 * listens) and {@link keyFromEnv}.
 *
 * @example
 * import { huoziFromEnv } from 'huozi/node';
 * const huozi = huoziFromEnv();
 */
export function huoziFromEnv(options: Partial<HuoziOptions> = {}): Huozi {
  return new Huozi({
    ...options,
    baseURL: options.baseURL ?? (env.HUOZI_BASE_URL || 'http://127.0.0.1:8787/v1'),
    apiKey: options.apiKey ?? keyFromEnv(),
  });
}
