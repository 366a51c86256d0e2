/** Decode and prefill of an engine in this process. */
import { greedy } from '../src/engine/testing/generate.ts';
import type { Engine } from '../src/engine/types.ts';

let prompts = 0;

/** Word tokens in an order that no prefix cache has seen. */
export function freshPrompt(vocabulary: number, tokens: number): Int32Array {
  const start = ++prompts * 104_729;
  return Int32Array.from({ length: tokens }, (_, i) => 300 + ((start + i * 7919) % (vocabulary - 310)));
}

function answer(engine: Engine, promptIds: Int32Array, maxTokens: number): Promise<void> {
  return new Promise((resolve, reject) => {
    engine.generate(
      { promptIds, sampling: greedy, maxTokens, stopIds: [], stopStrings: [], ignoreEos: true },
      {
        onText: () => undefined,
        onEnd: ({ reason, error }) => (reason === 'length' ? resolve() : reject(error ?? new Error(reason))),
      },
    );
  });
}

/** @returns tokens/s over all streams, from the first request to the last token */
export async function decodeRate(engine: Engine, streams: number, tokens: number): Promise<number> {
  const all = Array.from({ length: streams }, () => freshPrompt(engine.info.vocabulary, 8));
  const begin = performance.now();
  await Promise.all(all.map((prompt) => answer(engine, prompt, tokens)));
  return (streams * tokens * 1000) / (performance.now() - begin);
}

/** @returns prompt tokens/s of one prompt alone */
export async function prefillRate(engine: Engine, tokens: number): Promise<number> {
  const prompt = freshPrompt(engine.info.vocabulary, tokens);
  const begin = performance.now();
  await answer(engine, prompt, 1);
  return (tokens * 1000) / (performance.now() - begin);
}
