/** Bytes as hexadecimal digits, and random ones for names. */

const octets = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function hex(bytes: Uint8Array): string {
  let digits = '';
  for (const byte of bytes) digits += octets[byte];
  return digits;
}

/** Two digits a byte. */
export function randomHex(bytes: number): string {
  return hex(crypto.getRandomValues(new Uint8Array(bytes)));
}
