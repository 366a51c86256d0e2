/**
 * What a prompt begins with, as numbers: one key for each leading block, each over everything before it too. Two
 * prompts that share n keys share n blocks. Keys choose nodes and nothing else, so a collision costs a cache hit.
 *
 * A block is a turn, or 2,048 characters of a plain prompt. The tenant goes in first: caches are not shared.
 */
import type { Segment } from 'huozi-gpu-backend/protocol';

/** The first ones name the conversation, the last ones its newest state; what lies between adds nothing. */
const leading = 2;
const trailing = 6;
const plainBlock = 2048;
/** Of a longer turn the beginning and the length tell enough. */
const hashedCharacters = 16_384;

/** @returns 1 to 8 keys, 32 bits each, from the shortest prefix to the longest */
export function prefixKeys(tenant: string, prompt: readonly Segment[]): number[] {
  const keys: number[] = [];
  let state = hashText(0x811c9dc5, tenant);
  let isChat = false;
  for (const segment of prompt) {
    if ('text' in segment) {
      if (isChat) {
        state = hashText(state, segment.text);
        continue;
      }
      for (let at = 0; at < segment.text.length; at += plainBlock) {
        state = hashText(state, segment.text.slice(at, at + plainBlock));
        keys.push(state);
      }
    } else if (segment.control === 'begin') {
      isChat = true;
    } else if (segment.control === 'end') {
      keys.push(state);
    }
  }
  if (keys.length === 0) keys.push(state);
  return keys.length <= leading + trailing ? keys : [...keys.slice(0, leading), ...keys.slice(-trailing)];
}

/** The key that a conversation keeps from its first question on: system turn and first question, if there are both. */
export function homeKey(keys: readonly number[]): number {
  return keys[Math.min(1, keys.length - 1)]!;
}

/** FNV-1a over UTF-16 code units, then murmur3's finish. 32 bits. */
export function hashText(seed: number, text: string): number {
  let hash = seed ^ text.length;
  const end = Math.min(text.length, hashedCharacters);
  for (let i = 0; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

/** murmur3's fmix32: every bit of the input changes every bit of the result half of the time. */
export function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
