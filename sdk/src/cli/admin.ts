/** The operator's API, with the operator's token. */
import { env } from 'node:process';
import { Huozi } from '../client.ts';
import { HuoziError } from '../errors.ts';
import { requestJson } from '../requester.ts';

/** Asks `/admin` beside the `/v1` that clients use. */
export function adminOf(values: { 'base-url'?: string | undefined }) {
  const baseURL = values['base-url'] ?? (env.HUOZI_BASE_URL || 'http://127.0.0.1:8787/v1');
  const apiKey = env.HUOZI_ADMIN_TOKEN;
  if (!apiKey)
    throw new HuoziError('Set HUOZI_ADMIN_TOKEN, the ADMIN_TOKEN of the edge', { code: 'no_admin_token' });
  const client = new Huozi({ baseURL: `${baseURL.replace(/\/+$/, '').replace(/\/v1$/, '')}/admin`, apiKey });
  return <T>(method: string, path: string, body?: object): Promise<T> =>
    requestJson<T>(client.call, path, body, { method });
}
