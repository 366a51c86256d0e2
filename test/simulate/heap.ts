/** A binary heap of events by time. */
export class Heap<T> {
  readonly #times: number[] = [];
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  push(time: number, item: T): void {
    let at = this.#items.length;
    this.#times.push(time);
    this.#items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#times[parent]! <= time) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** The earliest. Only when there is one. */
  pop(): { time: number; item: T } {
    const time = this.#times[0]!;
    const item = this.#items[0]!;
    const last = this.#items.length - 1;
    this.#swap(0, last);
    this.#times.pop();
    this.#items.pop();
    this.#sink(last);
    return { time, item };
  }

  #sink(size: number): void {
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      if (left >= size) return;
      const right = left + 1;
      const child = right < size && this.#times[right]! < this.#times[left]! ? right : left;
      if (this.#times[at]! <= this.#times[child]!) return;
      this.#swap(at, child);
      at = child;
    }
  }

  #swap(a: number, b: number): void {
    const time = this.#times[a]!;
    const item = this.#items[a]!;
    this.#times[a] = this.#times[b]!;
    this.#items[a] = this.#items[b]!;
    this.#times[b] = time;
    this.#items[b] = item;
  }
}
