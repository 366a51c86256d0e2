/**
 * What was spent in the last minute, in buckets of one second.
 *
 * A sliding window, because a fixed one lets twice its limit pass around each turn of the minute. A unit comes back
 * 60 to 61 s after it was spent: never early, so that no 60 s ever hold more than the limit, and at most 61 numbers
 * are kept, however many requests there were.
 */

const windowMs = 60_000;
const bucketMs = 1_000;

/** `[second, amount]`, oldest first. Plain, so that it can be stored as it is. */
export type Spent = [second: number, amount: number][];

/** When what was spent in `second` comes back, milliseconds since 1970. */
function backAt(second: number): number {
  return (second + 1) * bucketMs + windowMs;
}

/** Drops what has come back, and gives what is still spent. */
export function spentIn(spent: Spent, now: number): number {
  let gone = 0;
  while (gone < spent.length && backAt(spent[gone]![0]) <= now) gone++;
  if (gone > 0) spent.splice(0, gone);
  let sum = 0;
  for (const [, amount] of spent) sum += amount;
  return sum;
}

export function spend(spent: Spent, amount: number, now: number): void {
  const second = Math.floor(now / bucketMs);
  const last = spent.at(-1);
  // A clock that was set back must not bring anything back early.
  if (last && last[0] >= second) last[1] += amount;
  else spent.push([second, amount]);
}

/** Milliseconds until `room` units have come back; undefined when so many were not spent. */
export function roomIn(spent: Spent, room: number, now: number): number | undefined {
  let back = 0;
  for (const [second, amount] of spent) {
    back += amount;
    if (back >= room) return Math.max(0, backAt(second) - now);
  }
  return undefined;
}

/** Milliseconds until everything has come back. */
export function emptyIn(spent: Spent, now: number): number {
  const last = spent.at(-1);
  return last ? Math.max(0, backAt(last[0]) - now) : 0;
}
