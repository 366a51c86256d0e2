/** Keys of a worker on this machine, made through its admin API. */

interface ListedKey {
  id: string;
  revoked_at: number | null;
}

/** The answer of `POST /admin/keys`, as far as it is used here. */
export interface CreatedKey {
  id: string;
  key: string;
}

/** @param settings as `POST /admin/keys` takes them */
export function createKey(
  url: string,
  adminToken: string,
  settings: { name: string } & Record<string, unknown>,
): Promise<CreatedKey> {
  return ask<CreatedKey>(`${url}/admin/keys`, adminToken, 'POST', settings);
}

const name = 'development';
/** All that need not be named, and `telemetry`: whose machine it is may see everybody's experts. */
const scopes = ['inference', 'models', 'usage', 'telemetry'];

/** A fresh one each time, because the last one is stored nowhere; that one and all before it are revoked. */
export async function developmentKey(url: string, adminToken: string): Promise<string> {
  const listed = `${url}/admin/keys?limit=100&name=${name}`;
  const { data } = await ask<{ data: ListedKey[] }>(listed, adminToken, 'GET');
  for (const { id, revoked_at } of data) {
    if (revoked_at === null) await ask(`${url}/admin/keys/${id}`, adminToken, 'DELETE');
  }
  return (await createKey(url, adminToken, { name, scopes })).key;
}

async function ask<T>(url: string, adminToken: string, method: string, body?: object): Promise<T> {
  const response = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`the admin API answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}
