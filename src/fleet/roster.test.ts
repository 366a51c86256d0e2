import type { NodeInfo } from 'huozi-gpu-backend/protocol';
import { expect, test } from 'vitest';
import { type Beat, dropSilent, hear, type Member, silentMs } from './roster.ts';

const info = { model: 'huozi', slots: 4 } as NodeInfo;
const beat = (url: string, sent_at: number, leaving = false): Beat => ({ url, sent_at, leaving, info });

test('a node joins, beats, and leaves by saying so', () => {
  const roster = new Map<string, Member>();
  expect(hear(roster, beat('http://a', 1), 100)).toBe(true);
  expect(hear(roster, beat('http://a', 2), 200)).toBe(false);
  expect(roster.get('http://a')).toMatchObject({ sentAt: 2, heardAt: 200 });
  expect(hear(roster, beat('http://a', 3, true), 300)).toBe(true);
  expect(roster.size).toBe(0);
});

test('a beat that comes late, or twice, neither changes nor revives', () => {
  const roster = new Map<string, Member>();
  hear(roster, beat('http://a', 5), 100);
  expect(hear(roster, beat('http://a', 5, true), 200)).toBe(false);
  expect(hear(roster, beat('http://a', 4), 200)).toBe(false);
  expect(roster.get('http://a')!.heardAt).toBe(100);
});

test('who is silent for three beats is taken out', () => {
  const roster = new Map<string, Member>();
  hear(roster, beat('http://a', 1), 0);
  hear(roster, beat('http://b', 1), 1_000);
  expect(dropSilent(roster, silentMs)).toBe(false);
  expect(dropSilent(roster, silentMs + 1)).toBe(true);
  expect([...roster.keys()]).toEqual(['http://b']);
});
