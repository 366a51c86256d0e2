/** Counts refused keys by address, within bounds. */

const windowMs = 60_000;

interface Failures {
  since: number;
  count: number;
}

export class FailureCounter {
  readonly #allowed: number;
  readonly #addresses: number;
  readonly #failures = new Map<string, Failures>();

  /**
   * @param allowed failures a minute before an address is told to wait
   * @param addresses that are remembered; beyond it the one that was first to fail is forgotten
   */
  constructor(allowed = 30, addresses = 10_000) {
    this.#allowed = allowed;
    this.#addresses = addresses;
  }

  /** Counts one more. Seconds to wait when there have been too many, else 0. */
  fail(address: string, now: number): number {
    const known = this.#failures.get(address);
    if (known && now < known.since + windowMs) {
      known.count++;
      return this.wait(address, now);
    }
    this.#failures.delete(address);
    this.#failures.set(address, { since: now, count: 1 });
    if (this.#failures.size > this.#addresses) {
      this.#failures.delete(this.#failures.keys().next().value!);
    }
    return 0;
  }

  /** The same without counting. */
  wait(address: string, now: number): number {
    const known = this.#failures.get(address);
    if (!known || known.count <= this.#allowed) return 0;
    return Math.max(0, known.since + windowMs - now) / 1000;
  }
}

/** Whom Cloudflare saw: it overwrites this header. Of an IPv6 address the first half, because whoever has one has all. */
export function addressOf(request: Request): string {
  const address = request.headers.get('cf-connecting-ip') ?? 'unknown';
  if (!address.includes(':')) return address.slice(0, 64);
  const [start = '', end] = address.split('::', 2);
  const head = start === '' ? [] : start.split(':');
  const missing = end === undefined ? 0 : 8 - head.length - (end === '' ? 0 : end.split(':').length);
  return [...head, ...new Array(Math.max(0, missing)).fill('0')].slice(0, 4).join(':').slice(0, 64);
}
