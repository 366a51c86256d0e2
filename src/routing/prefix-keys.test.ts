import { describe, expect, test } from 'vitest';
import { renderChat, renderText } from '../chatml.ts';
import { homeKey, mix, prefixKeys } from './prefix-keys.ts';

const system = { speaker: '系统', text: '你是助手。' } as const;
const user = (text: string) => ({ speaker: '用户', text }) as const;
const assistant = (text: string) => ({ speaker: '助手', text }) as const;

describe('prefixKeys', () => {
  test('a conversation keeps its keys as it goes on', () => {
    const first = prefixKeys('a', renderChat([system, user('一')]));
    const second = prefixKeys('a', renderChat([system, user('一'), assistant('二'), user('三')]));
    expect(first).toHaveLength(2);
    expect(second).toHaveLength(4);
    expect(second.slice(0, 2)).toEqual(first);
    expect(homeKey(second)).toBe(homeKey(first));
  });

  test('tenant, speaker and every earlier turn count', () => {
    const base = prefixKeys('a', renderChat([system, user('一')]));
    expect(prefixKeys('b', renderChat([system, user('一')]))[0]).not.toBe(base[0]);
    expect(prefixKeys('a', renderChat([system, assistant('一')]))[1]).not.toBe(base[1]);
    expect(prefixKeys('a', renderChat([user('一')]))[0]).not.toBe(base[1]);
  });

  test('text cannot be moved over a turn border without another key', () => {
    const one = prefixKeys('a', renderChat([user('一二'), user('三')]));
    const other = prefixKeys('a', renderChat([user('一'), user('二三')]));
    expect(one[1]).not.toBe(other[1]);
  });

  test('a plain prompt has a key for each block, a long conversation eight in all', () => {
    expect(prefixKeys('a', renderText('x'.repeat(5000)))).toHaveLength(3);
    expect(prefixKeys('a', renderText(''))).toHaveLength(1);
    const long = Array.from({ length: 40 }, (_, i) => user(String(i)));
    const keys = prefixKeys('a', renderChat(long));
    expect(keys).toHaveLength(8);
    expect(keys.slice(0, 2)).toEqual(prefixKeys('a', renderChat(long.slice(0, 2))));
  });
});

test('mix spreads neighbours over the whole range', () => {
  const buckets = new Int32Array(16);
  for (let i = 0; i < 16_000; i++) buckets[mix(i) >>> 28]!++;
  for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(200);
});
