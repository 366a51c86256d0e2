/** Whether two placements of one model compute the same, but for rounding. */
import { createEvaluator } from '../src/engine/evaluate.ts';
import { loadModel } from '../src/engine/model.ts';
import type { ModelPlacement } from '../src/native/placement.ts';

export interface Comparison {
  tokens: number;
  /** Share of positions with the same most likely token. */
  top1: number;
  /** Mean of the differences of log-probability that the two give the next token of the text, nats. */
  nll: number;
  /** Standard deviation of the logits: a model that says nothing would agree with itself anywhere. */
  spread: number;
  passed: boolean;
}

/**
 * Kernels round activations differently (the CPU to 8 bits, for one), and where two experts or two tokens are nearly
 * tied, that decides.
 */
const limits = { top1: 0.9, nll: 0.05, spread: 0.1 };

export async function compare(
  path: string,
  a: ModelPlacement,
  b: ModelPlacement,
  tokens: number,
  threads: number,
): Promise<Comparison> {
  const [first, second] = [
    await logitsOf(path, a, tokens, threads),
    await logitsOf(path, b, tokens, threads),
  ];
  const size = first.vocabulary;
  let same = 0;
  let nll = 0;
  for (let i = 0; i < tokens; i++) {
    const rows = [first.logits, second.logits].map((logits) => logits.subarray(i * size, (i + 1) * size));
    const [mine, theirs] = rows as [Float32Array, Float32Array];
    if (indexOfMax(mine) === indexOfMax(theirs)) same++;
    const next = first.ids[(i + 1) % tokens] as number;
    nll += Math.abs(logProbability(mine, next) - logProbability(theirs, next));
  }
  const result = { tokens, top1: same / tokens, nll: nll / tokens, spread: deviation(first.logits) };
  const passed = result.top1 >= limits.top1 && result.nll <= limits.nll && result.spread >= limits.spread;
  return { ...result, passed };
}

async function logitsOf(path: string, placement: ModelPlacement, tokens: number, threads: number) {
  const model = await loadModel(path, () => placement);
  const vocabulary = model.vocabulary.texts.length;
  const ids = Int32Array.from({ length: tokens }, (_, i) => 300 + ((i * 7919) % (vocabulary - 310)));
  const evaluator = await createEvaluator(model, tokens, threads);
  try {
    return { ids, vocabulary, logits: (await evaluator.evaluate(ids)).logits };
  } finally {
    evaluator.close();
    model.native.free();
  }
}

function deviation(values: Float32Array): number {
  let [sum, squares] = [0, 0];
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  return Math.sqrt(Math.max(0, squares / values.length - (sum / values.length) ** 2));
}

function indexOfMax(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if ((row[i] as number) > (row[best] as number)) best = i;
  return best;
}

function logProbability(row: Float32Array, id: number): number {
  const most = row[indexOfMax(row)] as number;
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - most);
  return (row[id] as number) - most - Math.log(sum);
}
