import type { Sampling } from '../../protocol.ts';
import { createEvaluator } from '../evaluate.ts';
import { loadModel } from '../model.ts';
import { Sampler } from '../sampler.ts';

export interface Replay {
  /**
   * Share of an answer's tokens that are drawn again when the whole text is evaluated in one piece, alone. Rounding
   * costs a token here and there (a near-tie between tokens, or between experts, which can change much); a wrong
   * position, a neighbour's logits or a stale KV cell cost nearly all.
   */
  share(promptIds: Int32Array, ids: readonly number[], sampling: Sampling): Promise<number>;
  close(): void;
}

export async function createReplay(path: string, maxTokens: number): Promise<Replay> {
  const model = await loadModel(path);
  const evaluator = await createEvaluator(model, maxTokens, 1);
  const size = model.vocabulary.texts.length;
  const sampler = new Sampler(size);
  return {
    async share(promptIds, ids, sampling) {
      const { logits } = await evaluator.evaluate(Int32Array.from([...promptIds, ...ids]));
      const same = ids.filter((id, i) => {
        const position = promptIds.length + i;
        return sampler.sample(logits, (position - 1) * size, sampling, position) === id;
      });
      return same.length / ids.length;
    },
    close() {
      evaluator.close();
      model.native.free();
    },
  };
}
