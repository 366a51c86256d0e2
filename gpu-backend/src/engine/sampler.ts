/**
 * Picks a token from one row of logits, read where llama.cpp left it: no copy of the vocabulary, no sort of it.
 *
 * Order as in vLLM and Hugging Face: temperature, top_k, top_p (of what top_k kept), min_p. Each keeps a prefix of
 * the tokens by falling logit (equal logits: smaller id first), so together they are one cut-off. To find it,
 * probabilities are added up in narrow buckets of logits, and only the bucket in which the cut falls is sorted.
 * The draw walks the kept tokens by id, not by rank: two tokens of nearly equal logit that change places, as they
 * do when the shape of the batch changes rounding, then do not change what is drawn.
 *
 * The result is a function of (seed, position, logits) and nothing else.
 */
import type { Sampling } from '../protocol.ts';
import { uniform } from './random.ts';

/** Tokens this many nats below the best one are never drawn: each has less than e^-24 of its probability. */
const depth = 24;
const bucketsPerNat = 32;
const bucketCount = depth * bucketsPerNat;

/** The last token that is kept. */
interface Cut {
  bucket: number;
  logit: number;
  id: number;
  /** Of everything kept. */
  mass: number;
}

export class Sampler {
  readonly #size: number;
  readonly #counts = new Uint32Array(bucketCount);
  readonly #masses = new Float64Array(bucketCount);
  /** Candidates by rising id: their ids, buckets, and probabilities relative to the best one's. */
  readonly #ids: Uint32Array;
  readonly #buckets: Uint16Array;
  readonly #weights: Float64Array;
  #candidates = 0;

  /** @param size of the vocabulary */
  constructor(size: number) {
    this.#size = size;
    this.#ids = new Uint32Array(size);
    this.#buckets = new Uint16Array(size);
    this.#weights = new Float64Array(size);
  }

  /**
   * @param logits rows of logits; the one to read begins at `offset`
   * @param position in its sequence, prompt included, of the token to be drawn
   */
  sample(logits: Float32Array, offset: number, sampling: Sampling, position: number): number {
    const row = logits.subarray(offset, offset + this.#size);
    const best = argmax(row);
    const { temperature, top_k, top_p, min_p, seed } = sampling;
    if (temperature === 0 || top_k === 1) return best;

    let mass = this.#collect(row, row[best] ?? 0, temperature);
    let cut: Cut | undefined;
    if (top_k > 0 && top_k < this.#candidates) {
      cut = this.#cut(row, top_k, Number.POSITIVE_INFINITY);
      mass = cut.mass;
    }
    if (top_p < 1) cut = this.#cut(row, this.#candidates, top_p * mass);
    if (cut || min_p > 0) mass = this.#keep(row, cut, min_p);
    return this.#draw(uniform(seed, position) * mass) ?? best;
  }

  /** Fills candidates and buckets. @returns the sum of the weights */
  #collect(row: Float32Array, most: number, temperature: number): number {
    const counts = this.#counts.fill(0);
    const masses = this.#masses.fill(0);
    const ids = this.#ids;
    const buckets = this.#buckets;
    const weights = this.#weights;
    const inverse = 1 / temperature;
    const floor = most - depth * temperature;
    let count = 0;
    let mass = 0;
    for (let id = 0; id < row.length; id++) {
      const logit = row[id] as number;
      if (!(logit > floor)) continue;
      const below = (most - logit) * inverse;
      const weight = Math.exp(-below);
      const bucket = Math.min(bucketCount - 1, (below * bucketsPerNat) | 0);
      counts[bucket]!++;
      masses[bucket]! += weight;
      mass += weight;
      ids[count] = id;
      buckets[count] = bucket;
      weights[count] = weight;
      count++;
    }
    this.#candidates = count;
    return mass;
  }

  /** The shortest prefix by rank that has `count` tokens or weighs `mass`. */
  #cut(row: Float32Array, count: number, mass: number): Cut {
    let kept = 0;
    let weight = 0;
    let bucket = 0;
    while (bucket < bucketCount - 1) {
      const more = this.#counts[bucket] as number;
      const heavier = weight + (this.#masses[bucket] as number);
      if (kept + more >= count || heavier >= mass) break;
      kept += more;
      weight = heavier;
      bucket++;
    }
    const within: number[] = [];
    for (let i = 0; i < this.#candidates; i++) if (this.#buckets[i] === bucket) within.push(i);
    within.sort((a, b) => (row[this.#ids[b]!] as number) - (row[this.#ids[a]!] as number) || a - b);
    let id = -1;
    for (const i of within) {
      kept++;
      weight += this.#weights[i] as number;
      id = this.#ids[i] as number;
      if (kept >= count || weight >= mass) break;
    }
    // An empty last bucket (rounding of the sums): everything is kept.
    return { bucket, logit: row[id] ?? Number.NEGATIVE_INFINITY, id, mass: weight };
  }

  /** Drops what lies beyond the cut or below min_p. @returns the sum of the weights kept */
  #keep(row: Float32Array, cut: Cut | undefined, minWeight: number): number {
    const ids = this.#ids;
    const weights = this.#weights;
    const last = cut?.bucket ?? bucketCount;
    let count = 0;
    let mass = 0;
    for (let i = 0; i < this.#candidates; i++) {
      const bucket = this.#buckets[i] as number;
      if (bucket > last) continue;
      const id = ids[i] as number;
      const weight = weights[i] as number;
      if (weight < minWeight) continue;
      if (cut && bucket === last) {
        const logit = row[id] as number;
        if (logit < cut.logit || (logit === cut.logit && id > cut.id)) continue;
      }
      ids[count] = id;
      weights[count] = weight;
      mass += weight;
      count++;
    }
    this.#candidates = count;
    return mass;
  }

  /** The candidate at this point of the running sum; undefined if there is none. */
  #draw(target: number): number | undefined {
    let sum = 0;
    for (let i = 0; i < this.#candidates; i++) {
      sum += this.#weights[i] as number;
      if (sum > target) return this.#ids[i];
    }
    return this.#candidates > 0 ? this.#ids[this.#candidates - 1] : undefined;
  }
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
