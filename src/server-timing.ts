/** `Server-Timing`: how long an answer's first steps took, as far as they were over when its headers went out. */

/** key: the key's check · limits: its object's round trip · node: until a node accepted, all tries together */
type Step = 'key' | 'limits' | 'node';

export class ServerTiming {
  readonly #begin = Date.now();
  readonly #steps = new Map<Step, number>();

  /** Times also what fails. */
  async measure<T>(step: Step, work: Promise<T>): Promise<T> {
    const begin = Date.now();
    try {
      return await work;
    } finally {
      this.#steps.set(step, (this.#steps.get(step) ?? 0) + Date.now() - begin);
    }
  }

  /** Milliseconds; workerd's clock moves with I/O alone, so what only computes takes none. */
  toString(): string {
    const steps = [...this.#steps].map(([step, ms]) => `${step};dur=${ms}`);
    return [...steps, `total;dur=${Date.now() - this.#begin}`].join(', ');
  }
}
