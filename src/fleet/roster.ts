/** Who is in the fleet, from what nodes say of themselves. Plain values and pure functions; times are ms since 1970. */
import type { NodeInfo } from 'huozi-gpu-backend/protocol';

/** What a node says every two seconds, and at once when something changes. */
export interface Beat {
  /** Where the edge reaches it, without a slash at the end. */
  url: string;
  /** By the node's clock. A beat that was sent before the last one heard changes nothing. */
  sent_at: number;
  /** It is going: nothing more will be heard. */
  leaving: boolean;
  info: NodeInfo;
}

export interface Member {
  url: string;
  info: NodeInfo;
  sentAt: number;
  heardAt: number;
}

/** Three beats missed: gone. */
export const silentMs = 6_000;

/** @returns whether the roster has changed its members, and not only what it knows of one */
export function hear(roster: Map<string, Member>, beat: Beat, now: number): boolean {
  const known = roster.get(beat.url);
  if (known && beat.sent_at <= known.sentAt) return false;
  if (beat.leaving) return roster.delete(beat.url);
  roster.set(beat.url, { url: beat.url, info: beat.info, sentAt: beat.sent_at, heardAt: now });
  return !known;
}

/** @returns whether somebody was taken out */
export function dropSilent(roster: Map<string, Member>, now: number): boolean {
  const before = roster.size;
  for (const [url, { heardAt }] of roster) if (now - heardAt > silentMs) roster.delete(url);
  return roster.size < before;
}
