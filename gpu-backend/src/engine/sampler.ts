/**
 * Picks a token from one row of logits, read where llama.cpp left it: no copy of the vocabulary, no sort of it.
 *
 * Order as in vLLM and Hugging Face: temperature, top_k, top_p (of what top_k kept), min_p. Each keeps a prefix of
 * the tokens by falling logit (equal logits: smaller id first), so together they are one cut-off, and it is found
 * among the few tokens near the best one. The draw walks the kept tokens by id, not by rank: two tokens of nearly
 * equal logit that change places, as they do when the shape of the batch changes rounding, then do not change what
 * is drawn.
 *
 * The result is a function of (seed, position, logits) and nothing else.
 */
import type { Sampling } from '../protocol.ts';
import { depth, fallingExp } from './falling-exp.ts';
import { uniform } from './random.ts';

/** How far below the best token the search for a cut-off looks at first, nats. Most tokens lie far beyond. */
const countReach = 8;
const massReach = 16;
const bucketsPerNat = 32;
const bucketCount = depth * bucketsPerNat + 1;
/** Tokens whose weights are added up together, so that a draw from the whole vocabulary re-reads one block. */
const blockSize = 512;

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
  readonly #size: number;
  /** Candidates by rising id. */
  readonly #ids: Uint32Array;
  readonly #weights: Float64Array;
  readonly #buckets: Uint16Array;
  #candidates = 0;
  readonly #counts = new Uint32Array(bucketCount);
  readonly #masses = new Float64Array(bucketCount);
  readonly #blocks: Float64Array;

  /** @param size of the vocabulary */
  constructor(size: number) {
    this.#size = size;
    this.#ids = new Uint32Array(size);
    this.#weights = new Float64Array(size);
    this.#buckets = new Uint16Array(size);
    this.#blocks = new Float64Array(Math.ceil(size / blockSize));
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
    const most = row[best] as number;
    const point = uniform(seed, position);
    const limited = top_k > 0 && top_k < this.#size;
    if (!limited && top_p === 1 && min_p === 0)
      return this.#drawFromAll(row, most, temperature, point) ?? best;

    let cut: Cut | undefined;
    if (limited) {
      cut = this.#cutByCount(row, most, temperature, top_k);
      if (top_p < 1) cut = this.#cut(row, top_k, top_p * cut.mass);
    } else if (top_p < 1) {
      cut = this.#cutByMass(row, most, temperature, top_p);
    } else {
      this.#collect(row, most, temperature, Math.min(depth, -Math.log(min_p) + 1 / bucketsPerNat));
    }
    const mass = this.#keep(row, cut, min_p);
    return this.#draw(point * mass) ?? best;
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
    const far = (this.#size - this.#candidates) * Math.exp(-massReach);
    const least = this.#cut(row, this.#size, share * near);
    if (least.id === this.#cut(row, this.#size, share * (near + far)).id) return least;
    const mass = share * this.#addUp(row, most, temperature);
    this.#collect(row, most, temperature, depth);
    return this.#cut(row, this.#size, mass);
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

  /** Drops candidates beyond the cut or below min_p. @returns the sum of the weights kept */
  #keep(row: Float32Array, cut: Cut | undefined, minWeight: number): number {
    const last = cut?.bucket ?? bucketCount;
    let count = 0;
    let mass = 0;
    for (let i = 0; i < this.#candidates; i++) {
      const bucket = this.#buckets[i] as number;
      const id = this.#ids[i] as number;
      const weight = this.#weights[i] as number;
      if (bucket > last || weight < minWeight) continue;
      if (cut && bucket === last) {
        const logit = row[id] as number;
        if (logit < cut.logit || (logit === cut.logit && id > cut.id)) continue;
      }
      this.#ids[count] = id;
      this.#weights[count] = weight;
      mass += weight;
      count++;
    }
    this.#candidates = count;
    return mass;
  }

  /** The candidate at this point of the running sum, the last one if rounding left the point beyond it. */
  #draw(target: number): number | undefined {
    let sum = 0;
    for (let i = 0; i < this.#candidates; i++) {
      sum += this.#weights[i] as number;
      if (sum > target) return this.#ids[i];
    }
    return this.#candidates > 0 ? this.#ids[this.#candidates - 1] : undefined;
  }

  /** @returns the weight of the whole vocabulary; what lies `depth` nats below the best one counts as nothing */
  #addUp(row: Float32Array, most: number, temperature: number): number {
    let mass = 0;
    for (let block = 0; block < this.#blocks.length; block++) {
      const sum = addBlock(row, block, most, temperature, Number.POSITIVE_INFINITY).sum;
      this.#blocks[block] = sum;
      mass += sum;
    }
    return mass;
  }

  #drawFromAll(row: Float32Array, most: number, temperature: number, point: number): number | undefined {
    let left = point * this.#addUp(row, most, temperature);
    for (let block = 0; block < this.#blocks.length; block++) {
      const sum = this.#blocks[block] as number;
      if (left < sum) return addBlock(row, block, most, temperature, left).id;
      left -= sum;
    }
    return undefined;
  }
}

/** Adds weights of a block until they exceed `target`. @returns their sum and the id at which it stopped */
function addBlock(row: Float32Array, block: number, most: number, temperature: number, target: number) {
  const inverse = 1 / temperature;
  const floor = most - depth * temperature;
  const end = Math.min(row.length, (block + 1) * blockSize);
  let sum = 0;
  let id = block * blockSize;
  for (; id < end; id++) {
    const logit = row[id] as number;
    if (!(logit > floor)) continue;
    sum += fallingExp((most - logit) * inverse);
    if (sum > target) break;
  }
  return { sum, id };
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
