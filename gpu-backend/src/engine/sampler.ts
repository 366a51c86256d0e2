/**
 * Picks a token from one row of logits, read where llama.cpp left it: no copy of the vocabulary, no sort of it.
 *
 * Order as in vLLM and Hugging Face: temperature, top_k, top_p (of what top_k kept), min_p, typical_p. All but the
 * last keep a prefix of the tokens by falling logit (equal logits: smaller id first), so together they are one
 * cut-off, and it is found among the few tokens near the best one.
 *
 * The draw is a race: each kept token gets an exponential time of its own, of a rate that is its probability, and
 * the first wins, which it does with that probability. The times come from (seed, position, token), so the result
 * is a function of (seed, position, logits). And of the rounding of logits, which the shape of the batch changes,
 * little reaches the result: only a race that is nearly a tie. (A draw along the running sum of probabilities
 * shifts as a whole: of 96 answers of 32 tokens at temperature 1.5, 20 came out alone as they did in company.)
 */
import type { Sampling } from '../protocol.ts';
import { atMostFallingExp, depth, fallingExp } from './falling-exp.ts';
import { philox, tokenUniform, uniform } from './random.ts';

/** How far below the best token the search for a cut-off looks at first, nats. Most tokens lie far beyond. */
const countReach = 8;
const massReach = 16;
/** How far below the best token each runs for itself when nothing is cut off, nats: 57,000 beyond it weigh 0.05 at most. */
const nearReach = 14;
const farWeight = Math.exp(-nearReach);
const bucketsPerNat = 32;
const bucketCount = depth * bucketsPerNat + 1;

/** The last token that is kept. */
interface Cut {
  bucket: number;
  logit: number;
  id: number;
  /** Of everything kept. */
  mass: number;
}

/** Weights below are probabilities relative to the best token's: e^((logit − best) / temperature). */
export class Sampler {
  /** Of the vocabulary. */
  readonly size: number;
  /** Candidates by rising id. */
  readonly #ids: Uint32Array;
  readonly #weights: Float64Array;
  readonly #buckets: Uint16Array;
  #candidates = 0;
  readonly #counts = new Uint32Array(bucketCount);
  readonly #masses = new Float64Array(bucketCount);

  /** @param size of the vocabulary */
  constructor(size: number) {
    this.size = size;
    this.#ids = new Uint32Array(size);
    this.#weights = new Float64Array(size);
    this.#buckets = new Uint16Array(size);
  }

  /**
   * @param logits rows of logits; the one to read begins at `offset`
   * @param position in its sequence, prompt included, of the token to be drawn
   */
  sample(logits: Float32Array, offset: number, sampling: Sampling, position: number): number {
    const row = logits.subarray(offset, offset + this.size);
    const best = argmax(row);
    const { temperature, top_k, top_p, min_p, typical_p = 1, seed } = sampling;
    if (temperature === 0 || top_k === 1) return best;
    const most = row[best] as number;
    const limited = top_k > 0 && top_k < this.size;
    if (!limited && top_p === 1 && min_p === 0 && typical_p === 1)
      return raceOfAll(row, most, temperature, seed, position) ?? best;

    let cut: Cut | undefined;
    if (limited) {
      cut = this.#cutByCount(row, most, temperature, top_k);
      if (top_p < 1) cut = this.#cut(row, top_k, top_p * cut.mass);
    } else if (top_p < 1) {
      cut = this.#cutByMass(row, most, temperature, top_p);
    } else {
      this.#collect(row, most, temperature, Math.min(depth, -Math.log(min_p) + 1 / bucketsPerNat));
    }
    if (typical_p < 1) this.#keepTypical(row, cut, min_p, typical_p);
    const [a, b] = philox(seed, position, 0);
    return this.#race(row, cut, min_p, a, b) ?? best;
  }

  #cutByCount(row: Float32Array, most: number, temperature: number, count: number): Cut {
    for (let reach = countReach; ; reach *= 1.5) {
      this.#collect(row, most, temperature, Math.min(reach, depth));
      if (this.#candidates >= count || reach >= depth) return this.#cut(row, count, Number.POSITIVE_INFINITY);
    }
  }

  /** top_p's share is of the whole vocabulary, yet most of it need not be added up to know where the cut falls. */
  #cutByMass(row: Float32Array, most: number, temperature: number, share: number): Cut {
    const near = this.#collect(row, most, temperature, massReach);
    const far = (this.size - this.#candidates) * Math.exp(-massReach);
    const least = this.#cut(row, this.size, share * near);
    if (least.id === this.#cut(row, this.size, share * (near + far)).id) return least;
    const mass = share * addUp(row, most, temperature);
    this.#collect(row, most, temperature, depth);
    return this.#cut(row, this.size, mass);
  }

  /** Makes candidates of the tokens less than `reach` nats below the best. @returns the sum of their weights */
  #collect(row: Float32Array, most: number, temperature: number, reach: number): number {
    const ids = this.#ids;
    const weights = this.#weights;
    const buckets = this.#buckets;
    const counts = this.#counts.fill(0);
    const masses = this.#masses.fill(0);
    const inverse = 1 / temperature;
    const floor = most - reach * temperature;
    let count = 0;
    let mass = 0;
    for (let id = 0; id < row.length; id++) {
      const logit = row[id] as number;
      if (!(logit > floor)) continue;
      const below = (most - logit) * inverse;
      const bucket = (below * bucketsPerNat) | 0;
      const weight = fallingExp(below);
      ids[count] = id;
      weights[count] = weight;
      buckets[count] = bucket;
      counts[bucket]!++;
      masses[bucket]! += weight;
      mass += weight;
      count++;
    }
    this.#candidates = count;
    return mass;
  }

  /** The end of the shortest prefix by rank that has `count` tokens or weighs `mass`. */
  #cut(row: Float32Array, count: number, mass: number): Cut {
    let kept = 0;
    let weight = 0;
    let bucket = 0;
    for (; bucket < bucketCount - 1; bucket++) {
      const more = this.#counts[bucket] as number;
      const heavier = weight + (this.#masses[bucket] as number);
      if (kept + more >= count || heavier >= mass) break;
      kept += more;
      weight = heavier;
    }
    // Only the bucket in which the cut falls is put in order.
    const within: number[] = [];
    for (let i = 0; i < this.#candidates; i++) if (this.#buckets[i] === bucket) within.push(i);
    const logitOf = (i: number) => row[this.#ids[i] as number] as number;
    within.sort((a, b) => logitOf(b) - logitOf(a) || a - b);
    let id = -1;
    for (const i of within) {
      kept++;
      weight += this.#weights[i] as number;
      id = this.#ids[i] as number;
      if (kept >= count || weight >= mass) break;
    }
    return { bucket, logit: row[id] ?? Number.NEGATIVE_INFINITY, id, mass: weight };
  }

  /** The winner among the candidates up to the cut that reach min_p. */
  #race(
    row: Float32Array,
    cut: Cut | undefined,
    minWeight: number,
    a: number,
    b: number,
  ): number | undefined {
    let winner: number | undefined;
    let first = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#candidates; i++) {
      if (!this.#isKept(i, row, cut, minWeight)) continue;
      const weight = this.#weights[i] as number;
      const id = this.#ids[i] as number;
      const u = tokenUniform(a, b, id);
      // −ln u is not below 1 − u, so most need no logarithm to be known as losers.
      if (1 - u >= first * weight) continue;
      const time = -Math.log(u) / weight;
      if (time < first) {
        first = time;
        winner = id;
      }
    }
    return winner;
  }

  #isKept(i: number, row: Float32Array, cut: Cut | undefined, minWeight: number): boolean {
    const weight = this.#weights[i] as number;
    if (weight < minWeight || weight === 0) return false;
    if (!cut) return true;
    const bucket = this.#buckets[i] as number;
    if (bucket !== cut.bucket) return bucket < cut.bucket;
    const id = this.#ids[i] as number;
    const logit = row[id] as number;
    return logit > cut.logit || (logit === cut.logit && id <= cut.id);
  }

  /**
   * Locally typical sampling (Meister et al. 2022): of what is kept so far, those tokens whose surprise is nearest to
   * the expected one, the entropy, until they weigh `share` of it. The others lose their weight.
   */
  #keepTypical(row: Float32Array, cut: Cut | undefined, minWeight: number, share: number): void {
    const kept: number[] = [];
    let mass = 0;
    let sum = 0;
    for (let i = 0; i < this.#candidates; i++) {
      if (!this.#isKept(i, row, cut, minWeight)) continue;
      const weight = this.#weights[i] as number;
      kept.push(i);
      mass += weight;
      sum -= weight * Math.log(weight);
    }
    // Both with the same constant, ln mass, left out.
    const expected = sum / mass;
    const distance = (i: number) => Math.abs(-Math.log(this.#weights[i] as number) - expected);
    const bucketOf = (i: number) => Math.min(bucketCount - 1, (distance(i) * bucketsPerNat) | 0);
    const masses = this.#masses.fill(0);
    for (const i of kept) masses[bucketOf(i)]! += this.#weights[i] as number;
    let last = 0;
    let weight = 0;
    for (; last < bucketCount - 1; last++) {
      const heavier = weight + (masses[last] as number);
      if (heavier >= share * mass) break;
      weight = heavier;
    }
    // Only the bucket in which the limit falls is put in order.
    const within = kept
      .filter((i) => bucketOf(i) === last)
      .sort((x, y) => distance(x) - distance(y) || x - y);
    for (const i of kept) if (bucketOf(i) > last) this.#weights[i] = 0;
    for (const i of within) {
      if (weight >= share * mass) this.#weights[i] = 0;
      else weight += this.#weights[i] as number;
    }
  }
}

/**
 * The winner of the whole vocabulary. Each token near the best one runs for itself. The many others, which hardly ever
 * win, run as one: their weights are rounded up to that of the boundary, and when one of them would arrive first it is
 * chosen evenly and let through with the share of the boundary's weight that is its own. That is the same race (a
 * Poisson process, thinned), at a comparison a token instead of an exponential and a hash.
 */
function raceOfAll(
  row: Float32Array,
  most: number,
  temperature: number,
  seed: number,
  position: number,
): number | undefined {
  const [a, b] = philox(seed, position, 0);
  const inverse = 1 / temperature;
  const floor = most - nearReach * temperature;
  let winner: number | undefined;
  let first = Number.POSITIVE_INFINITY;
  let far = 0;
  for (let id = 0; id < row.length; id++) {
    const logit = row[id] as number;
    if (!(logit > floor)) {
      far++;
      continue;
    }
    const below = (most - logit) * inverse;
    const u = tokenUniform(a, b, id);
    if (1 - u >= first * atMostFallingExp(below)) continue;
    const time = -Math.log(u) / fallingExp(below);
    if (time < first) {
      first = time;
      winner = id;
    }
  }

  let time = 0;
  for (let arrival = 1; far > 0; arrival++) {
    const [c, d] = philox(seed, position, 2 * arrival - 1);
    time -= Math.log(uniform(c)) / (far * farWeight);
    if (time >= first) return winner;
    const id = farToken(row, floor, Math.floor(uniform(d) * far));
    const share = Math.exp(nearReach - (most - (row[id] as number)) * inverse);
    if (uniform(philox(seed, position, 2 * arrival)[0]) < share) return id;
  }
  return winner;
}

/** The token that has `before` others of its kind before it. */
function farToken(row: Float32Array, floor: number, before: number): number {
  let left = before;
  for (let id = 0; id < row.length; id++) {
    if (!((row[id] as number) > floor) && left-- === 0) return id;
  }
  return 0;
}

/** The weight of the whole vocabulary. */
function addUp(row: Float32Array, most: number, temperature: number): number {
  const inverse = 1 / temperature;
  const floor = most - depth * temperature;
  let mass = 0;
  for (let id = 0; id < row.length; id++) {
    const logit = row[id] as number;
    if (logit > floor) mass += fallingExp((most - logit) * inverse);
  }
  return mass;
}

/** The first of the largest. */
function argmax(row: Float32Array): number {
  let best = 0;
  let most = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < row.length; id++) {
    const logit = row[id] as number;
    if (logit > most) {
      most = logit;
      best = id;
    }
  }
  return best;
}
