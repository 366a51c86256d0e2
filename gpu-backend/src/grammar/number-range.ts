/** Numbers between bounds, spelled as digits: what comes after a digit depends on whether it was the bound's own. */
import { choice } from './rules.ts';

export interface Bound {
  value: number;
  exclusive: boolean;
}

/** Digits before the point where a side is open: float64 holds all of them. */
const openDigits = 15;
const moreDigits = 15;

/**
 * GBNF for the integers between the bounds; undefined if there are none.
 * @param low and high absent is open
 */
export function integerRange(low: Bound | undefined, high: Bound | undefined): string | undefined {
  const most = 10n ** BigInt(openDigits) - 1n;
  const clamp = (value: bigint) => (value > most ? most : value < -most ? -most : value);
  const from = low ? clamp(toInteger(low, 1)) : -most;
  const to = high ? clamp(toInteger(high, -1)) : most;
  if (from > to) return undefined;
  const options = [];
  if (from < 0n) {
    const least = to < 0n ? -to : 1n;
    options.push(`"-" ${digitRange(least, -from, 0)}`);
  }
  if (to >= 0n) options.push(digitRange(from > 0n ? from : 0n, to, 0));
  return choice(options);
}

function toInteger({ value, exclusive }: Bound, inward: 1 | -1): bigint {
  const whole = inward === 1 ? Math.ceil(value) : Math.floor(value);
  return BigInt(whole) + (exclusive && whole === value ? BigInt(inward) : 0n);
}

/** GBNF for decimal numbers between the bounds, without exponents; undefined if there are none or they have too many digits. */
export function decimalRange(low: Bound | undefined, high: Bound | undefined): string | undefined {
  const places = Math.max(decimals(low), decimals(high));
  if (places > 12) return undefined;
  const scale = (bound: Bound) => BigInt(bound.value.toFixed(places).replace('.', ''));
  const most = 10n ** BigInt(openDigits) - 1n;
  const inner = (bound: Bound | undefined): [bigint, boolean] =>
    bound ? [scale(bound), bound.exclusive] : [most, false];
  const options: string[] = [];
  const [to, toExclusive] = inner(high);
  const [from, fromExclusive] = low ? [scale(low), low.exclusive] : [-most, false];
  if (to > most || from < -most || from > to) return undefined;
  if (to >= 0n) {
    const [least, exclusive] = from < 0n ? [0n, false] : [from, fromExclusive];
    options.push(...magnitudes(least, exclusive, to, toExclusive, places));
  }
  if (from < 0n) {
    // "-0" is zero, so it is left to the other side.
    const [least, exclusive] = to < 0n ? [-to, toExclusive] : [0n, true];
    options.push(
      ...magnitudes(least, exclusive, -from, fromExclusive, places).map((option) => `"-" ${option}`),
    );
  }
  return options.length === 0 ? undefined : choice(options);
}

function decimals(bound: Bound | undefined): number {
  if (!bound) return 0;
  const match = /^-?\d+(?:\.(\d+))?(?:e([-+]\d+))?$/.exec(String(bound.value));
  return Math.max(0, (match?.[1]?.length ?? 0) - Number(match?.[2] ?? 0));
}

/** From `low` to `high`, both scaled by 10^places and not negative. */
function magnitudes(
  low: bigint,
  lowOpen: boolean,
  high: bigint,
  highOpen: boolean,
  places: number,
): string[] {
  const options: string[] = [];
  const point = places === 0 ? '"." ' : '';
  const more = `(${point}[0-9]{1,${moreDigits}})?`;
  // What has all its places may go on unless it is the upper bound itself.
  const first = lowOpen ? low + 1n : low;
  if (first < high) options.push(`${digitRange(first, high - 1n, places)} ${more}`);
  if (lowOpen && low < high) {
    options.push(`${digitRange(low, low, places)} ${point}[0-9]{0,${moreDigits - 1}} [1-9]`);
  }
  if (!highOpen && high >= first) options.push(digitRange(high, high, places));
  return options;
}

/** The digits of every number from `low` to `high`, the last `places` of them after a point. */
function digitRange(low: bigint, high: bigint, places: number): string {
  const spell = (value: bigint) => String(value).padStart(places + 1, '0');
  const options: string[] = [];
  for (let length = spell(low).length; length <= spell(high).length; length++) {
    const least = length === spell(low).length ? spell(low) : `1${'0'.repeat(length - 1)}`;
    const most = length === spell(high).length ? spell(high) : '9'.repeat(length);
    options.push(between(least, most, length - places));
  }
  return choice(options);
}

/** Strings of digits from `low` to `high`, of the same length; a point before the last `point` digits are through. */
function between(low: string, high: string, point: number): string {
  const length = low.length;
  const dot = (at: number) => (at === point && at > 0 ? '"." ' : '');
  const any = (from: number): string => {
    if (from >= length) return '';
    const before = from < point ? Math.min(point, length) - from : 0;
    const after = length - Math.max(from, point);
    const parts = [];
    if (before > 0) parts.push(`[0-9]{${before}}`);
    if (after > 0) parts.push(`${from <= point ? '"." ' : ''}[0-9]{${after}}`);
    return parts.join(' ');
  };
  const walk = (at: number, onLow: boolean, onHigh: boolean): string => {
    if (at === length) return '';
    if (!onLow && !onHigh) return any(at);
    const from = onLow ? Number(low[at]) : 0;
    const to = onHigh ? Number(high[at]) : 9;
    const options: string[] = [];
    const branch = (first: number, last: number, stillLow: boolean, stillHigh: boolean) => {
      if (first > last) return;
      const digit = first === last ? `"${first}"` : `[${first}-${last}]`;
      options.push(`${dot(at)}${digit} ${walk(at + 1, stillLow, stillHigh)}`.trim());
    };
    if (from === to) branch(from, from, onLow, onHigh);
    else {
      if (onLow) branch(from, from, true, false);
      branch(onLow ? from + 1 : from, onHigh ? to - 1 : to, false, false);
      if (onHigh) branch(to, to, false, true);
    }
    return choice(options);
  };
  return walk(0, true, true);
}
