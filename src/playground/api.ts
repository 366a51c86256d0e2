/** The edge that served this page, asked with the keys that the person gave. */
import { Huozi, HuoziError } from 'huozi';
import { adminToken, key } from './secrets.ts';

/**
 * For /v1. A key that is changed holds from the next call on. Where the edge asks to wait for seconds, the person is told
 * so, and why, and has a button to ask again: a page that waits in silence looks broken.
 */
export const huozi = new Huozi({ baseURL: '/v1', apiKey: () => key.value.value, maxRetryAfter: 2 });

/** What the edge refused, as the SDK's errors say it. */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly status: number;
  readonly code: string | null;

  constructor(status: number, code: string | null, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * JSON of a route that the SDK has no method for.
 *
 * @param path from the root, `/admin/nodes`; what begins with /admin goes with the operator's token, else the key
 */
export async function getJson<T>(path: string, init: RequestInit = {}): Promise<T> {
  const token = path.startsWith('/admin') ? adminToken.value.value : key.value.value;
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${token}`);
  const response = await fetch(path, { ...init, headers });
  const body = (await response.json().catch(() => ({}))) as T & {
    error?: { message?: string; code?: string | null };
  };
  if (response.ok) return body;
  throw new ApiError(
    response.status,
    body.error?.code ?? null,
    body.error?.message ?? `The edge answered ${response.status}`,
  );
}

/** The words of whatever a call threw, and whether another key would help. */
export function problemOf(error: unknown): { message: string; code: string | null; isKey: boolean } {
  const { status, code = null } = Object(error) as { status?: number; code?: string | null };
  const message = error instanceof Error || HuoziError.isInstance(error) ? error.message : String(error);
  return { message, code, isKey: status === 401 || status === 403 };
}
