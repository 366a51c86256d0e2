/** What nodes know a key by: the salt of their prefix caches and their unit of fairness. Not the key's id, nor a way to it. */
const encoder = new TextEncoder();

/** The same for a key as long as KEY_SECRET is. 32 hexadecimal digits. */
export async function tenantOf(keySecret: string, keyId: string): Promise<string> {
  const secret = encoder.encode(keySecret);
  const hmac = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ]);
  const mac = await crypto.subtle.sign('HMAC', hmac, encoder.encode(`tenant ${keyId}`));
  return Array.from(new Uint8Array(mac, 0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
