import { createContext } from '../native/context.ts';
import type { Model } from './model.ts';
import { ContextError, DecodeError } from './model-errors.ts';

/** What the model makes of a text that is given, token by token. */
interface Evaluation {
  /** `[tokens, vocabulary]`; row i is what follows token i. */
  logits: Float32Array;
  /** For each layer `[tokens, expertsUsed]`, the expert with the larger router weight first. */
  experts: Int32Array[];
}

export interface Evaluator {
  /** @throws DecodeError, RangeError if there are no tokens or more than it was made for */
  evaluate(ids: Int32Array): Promise<Evaluation>;
  close(): void;
}

/**
 * For checking a model, not for serving it: logits of all positions, and the routed experts of all layers, which
 * costs a hop to the event loop for every node of the graph.
 * @throws ContextError
 */
export async function createEvaluator(model: Model, maxTokens: number, threads: number): Promise<Evaluator> {
  const vocabularySize = model.vocabulary.texts.length;
  let routed: number[][] = [];
  const context = await createContext(model.native, vocabularySize, {
    contextTokens: maxTokens,
    batchTokens: maxTokens,
    sequences: 1,
    outputs: maxTokens,
    threads,
    precise: true,
    onRoutedExperts(layer, experts) {
      routed[layer] ??= [];
      for (const expert of experts) routed[layer].push(expert);
    },
  });
  if ('failure' in context) throw new ContextError(`no context of ${maxTokens} tokens: ${context.failure}`);
  return {
    async evaluate(ids) {
      if (ids.length === 0 || ids.length > maxTokens)
        throw new RangeError(`${ids.length} tokens of ${maxTokens}`);
      routed = [];
      context.removeCells(0, 0, -1);
      const { batch } = context;
      batch.tokens.set(ids);
      batch.sequences.fill(0, 0, ids.length);
      batch.outputs.fill(1, 0, ids.length);
      for (let i = 0; i < ids.length; i++) batch.positions[i] = i;
      const code = await context.decode(ids.length);
      if (code !== 0) throw new DecodeError(code, context.lastErrors());
      return {
        logits: context.logits().slice(0, ids.length * vocabularySize),
        experts: routed.map((layer) => Int32Array.from(layer)),
      };
    },
    close: () => context.free(),
  };
}
