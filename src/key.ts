/**
 * Client keys: `hz_<id>_<secret>_<check>`.
 *
 * The threat: strangers who guess. The check is an HMAC over all that stands before it, so a forged or mistyped
 * key is refused from the worker's own memory, before any storage is asked. It says that the key was minted here,
 * not that it is still wanted: that is in the key's record (keys/key-object.ts).
 *
 * Pure and portable (Web Crypto), because the edge verifies on workerd and scripts mint on Node.
 */
import { hex } from './hex.ts';

const shape = /^(hz_([0-9A-Za-z]{1,32})_[0-9A-Za-z]{43})_([0-9A-Za-z]{22})$/;
const checkBytes = 16;
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const encoder = new TextEncoder();

/**
 * @param keySecret the edge's KEY_SECRET
 * @param id public name of the key, 1 to 32 letters and digits
 * @param random 32 bytes that nobody can guess
 */
export async function mintKey(keySecret: string, id: string, random: Uint8Array): Promise<string> {
  if (random.length !== 32) throw new RangeError(`random must be 32 bytes, not ${random.length}`);
  const body = `hz_${id}_${base62(random)}`;
  const key = `${body}_${await check(await signingKey(keySecret), body)}`;
  if (!shape.test(key)) throw new RangeError('id must be 1 to 32 letters and digits');
  return key;
}

/** The key's id, or undefined when the key was not minted with `keySecret`. */
export async function verifyKey(keySecret: string, key: string): Promise<string | undefined> {
  const parts = shape.exec(key);
  if (!parts) return undefined;
  const [, body, id, given] = parts as unknown as [string, string, string, string];
  const hmac = await signingKey(keySecret);
  // `crypto.subtle.verify` compares in constant time on every runtime, but only whole MACs. So the two truncated
  // checks are compared through a MAC of each.
  const expected = await crypto.subtle.sign('HMAC', hmac, encoder.encode(await check(hmac, body)));
  return (await crypto.subtle.verify('HMAC', hmac, expected, encoder.encode(given))) ? id : undefined;
}

/** What storage keeps instead of the key: SHA-256, in hexadecimal. No salt: the secret has 256 bits of its own. */
export async function keyHash(key: string): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', encoder.encode(key))));
}

/**
 * What nodes know a key by: the salt of their prefix caches and their unit of fairness. Not the key's id, nor a way
 * to it. The same as long as KEY_SECRET is; 32 hexadecimal digits.
 */
export async function tenantOf(keySecret: string, id: string): Promise<string> {
  const hmac = await signingKey(keySecret);
  const known = tenants.get(id);
  if (known?.hmac === hmac) return known.tenant;
  const mac = await crypto.subtle.sign('HMAC', hmac, encoder.encode(`tenant ${id}`));
  const tenant = hex(new Uint8Array(mac, 0, 16));
  if (tenants.size >= mostTenants) tenants.clear();
  tenants.set(id, { hmac, tenant });
  return tenant;
}

/** An isolate asks for the same few again and again. */
const tenants = new Map<string, { hmac: CryptoKey; tenant: string }>();
const mostTenants = 1_000;

async function check(hmac: CryptoKey, body: string): Promise<string> {
  const mac = await crypto.subtle.sign('HMAC', hmac, encoder.encode(body));
  return base62(new Uint8Array(mac, 0, checkBytes));
}

let imported: { secret: string; key: CryptoKey } | undefined;

/** One import an isolate, not one a request. */
async function signingKey(secret: string): Promise<CryptoKey> {
  if (imported?.secret === secret) return imported.key;
  // An empty secret would let anyone mint.
  if (secret.length < 16) throw new RangeError('KEY_SECRET must have at least 16 characters');
  const key = await crypto.subtle.importKey(
    'raw',
    encoder.encode(secret),
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['sign', 'verify'],
  );
  imported = { secret, key };
  return key;
}

/** Fixed width for a number of bytes: 22 digits for 16, 43 for 32. */
function base62(bytes: Uint8Array): string {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  let digits = '';
  for (let width = Math.ceil((bytes.length * 8) / Math.log2(62)); width > 0; width--) {
    digits = alphabet[Number(value % 62n)] + digits;
    value /= 62n;
  }
  return digits;
}
