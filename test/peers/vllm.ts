/**
 * Our engine and vLLM on the same weights; `.ci/peers` installs what it takes.
 *
 *     HUOZI_UPSTREAM=http://127.0.0.1:8000 npm run test:vllm -- agree [questions]
 *     HUOZI_VLLM=.peers/vllm/bin/vllm HUOZI_HF=.peers/hf npm run test:vllm -- migrate
 *
 * agree    greedy answers of all held-out questions, id by id, with a vLLM that runs already
 * migrate  answers through an edge with a node of each engine, while either engine is killed
 *
 * Where two answers part, both engines must have seen a near-tie there (partings.ts), or the run fails.
 */
import { agree } from './vllm-agree.ts';
import { migrate } from './vllm-migrate.ts';

const [what, most] = process.argv.slice(2);
const runs: Record<string, () => Promise<boolean>> = {
  agree: () => agree(process.env.HUOZI_UPSTREAM ?? '', Number(most ?? Number.POSITIVE_INFINITY)),
  migrate: () => migrate(process.env.HUOZI_VLLM ?? 'vllm', process.env.HUOZI_HF ?? ''),
};
const run = runs[what ?? ''];
if (!run) throw new Error(`test:vllm takes one of ${Object.keys(runs).join(', ')}`);
process.exitCode = (await run()) ? 0 : 1;
