/**
 * Finds stop strings in text that arrives in pieces of any size. What it lets through depends on the text alone,
 * not on where tokens split it: the match that completes first wins, and among those that complete at the same
 * character the one that began first. At most the longest stop string less one character is held back.
 */
export class StopStrings {
  readonly #stops: readonly Matcher[];
  #held = '';

  constructor(stops: readonly string[]) {
    // Text here is always whole characters, so a string with half a surrogate pair can never occur in it.
    this.#stops = stops
      .filter((stop) => stop !== '' && !/\p{Surrogate}/u.test(stop))
      .map((stop) => new Matcher(stop));
  }

  /** @returns text that is safe to show; `found` once a stop string is complete: what follows it is gone */
  push(piece: string): { text: string; found: boolean } {
    if (this.#stops.length === 0) return { text: piece, found: false };
    const text = this.#held + piece;
    for (let i = this.#held.length; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      let matched = 0;
      for (const stop of this.#stops) {
        if (stop.step(unit)) matched = Math.max(matched, stop.length);
      }
      if (matched > 0) {
        this.#held = '';
        return { text: text.slice(0, i + 1 - matched), found: true };
      }
    }
    const hold = this.#stops.reduce((most, stop) => Math.max(most, stop.partial), 0);
    this.#held = text.slice(text.length - hold);
    return { text: text.slice(0, text.length - hold), found: false };
  }

  /** What was held back, when no more text comes. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }
}

/** Knuth, Morris and Pratt's automaton over UTF-16 units. */
class Matcher {
  readonly #pattern: string;
  /** For each prefix, the length of its longest border. */
  readonly #border: Uint16Array;
  /** Length of the longest prefix of the pattern that the text ends with. */
  partial = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#border = new Uint16Array(pattern.length);
    for (let i = 1, k = 0; i < pattern.length; i++) {
      while (k > 0 && pattern[i] !== pattern[k]) k = this.#border[k - 1] ?? 0;
      if (pattern[i] === pattern[k]) k++;
      this.#border[i] = k;
    }
  }

  get length(): number {
    return this.#pattern.length;
  }

  /** True when this unit completes the pattern. */
  step(unit: number): boolean {
    while (this.partial > 0 && this.#pattern.charCodeAt(this.partial) !== unit) {
      this.partial = this.#border[this.partial - 1] ?? 0;
    }
    if (this.#pattern.charCodeAt(this.partial) === unit) this.partial++;
    return this.partial === this.#pattern.length;
  }
}
