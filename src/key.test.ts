import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mintKey, verifyKey } from './key.ts';

const secret = 'a secret of the edge';
const random = new Uint8Array(32).map((_, index) => index * 7);

describe('keys', () => {
  it('are accepted where they were minted, and name their id', async () => {
    const key = await mintKey(secret, 'dev', random);
    expect(key).toMatch(/^hz_dev_[0-9A-Za-z]{43}_[0-9A-Za-z]{22}$/);
    expect(await verifyKey(secret, key)).toBe('dev');
  });

  it('are the same for the same id and bytes, and differ for others', async () => {
    const key = await mintKey(secret, 'dev', random);
    expect(await mintKey(secret, 'dev', random)).toBe(key);
    expect(await mintKey(secret, 'dev2', random)).not.toBe(key);
    expect(await mintKey(secret, 'dev', random.toReversed())).not.toBe(key);
  });

  it('are refused under another secret', async () => {
    expect(await verifyKey('another secret of it', await mintKey(secret, 'dev', random))).toBeUndefined();
  });

  it('are refused with any one character changed, added or missing', async () => {
    const key = await mintKey(secret, 'dev', random);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(key.length - 1),
        fc.constantFrom(...'0aZ_- \n'),
        fc.nat(2),
        async (at, other, cut) => {
          const forged = key.slice(0, at) + (cut === 2 ? '' : other) + key.slice(at + (cut === 0 ? 0 : 1));
          fc.pre(forged !== key);
          expect(await verifyKey(secret, forged)).toBeUndefined();
        },
      ),
    );
  });

  it.each(['', 'hz_', 'EMPTY', `hz_dev_${'0'.repeat(43)}_${'0'.repeat(22)}`])('refuses %j', async (key) => {
    expect(await verifyKey(secret, key)).toBeUndefined();
  });

  it('cannot be minted with a bad id, too little randomness or no secret to speak of', async () => {
    await expect(mintKey(secret, 'a_b', random)).rejects.toThrow(RangeError);
    await expect(mintKey(secret, 'dev', random.subarray(1))).rejects.toThrow(RangeError);
    await expect(mintKey('', 'dev', random)).rejects.toThrow(RangeError);
  });
});
