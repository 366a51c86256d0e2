/**
 * Our engine and vLLM on the same weights; `.ci/peers` installs what it takes.
 *
 *     HUOZI_UPSTREAM=http://127.0.0.1:8000 npm run test:vllm -- agree [questions]
 *     HUOZI_VLLM=.peers/vllm/bin/vllm HUOZI_HF=.peers/hf npm run test:vllm -- migrate
 *     … npm run test:vllm -- ranks
 *
 * agree    greedy answers of all held-out questions, id by id, with a vLLM that runs already
 * migrate  answers through an edge with a node of each engine, while either engine is killed
 * ranks    two ranks of one vLLM, as on two machines, beside our engine
 *
 * Where two answers of `agree` or `migrate` part, both engines must have seen a near-tie there (partings.ts), or it fails.
 */
import { agree } from './vllm-agree.ts';
import { migrate } from './vllm-migrate.ts';
import { ranks } from './vllm-ranks.ts';

const { HUOZI_UPSTREAM = '', HUOZI_VLLM = 'vllm', HUOZI_HF = '' } = process.env;
const [what = '', most] = process.argv.slice(2);
const runs: Record<string, () => Promise<boolean>> = {
  agree: () => agree(HUOZI_UPSTREAM, Number(most ?? Number.POSITIVE_INFINITY)),
  migrate: () => migrate(HUOZI_VLLM, HUOZI_HF),
  ranks: () => ranks(HUOZI_VLLM, HUOZI_HF),
};
const run = runs[what];
if (!run) throw new Error(`test:vllm takes one of ${Object.keys(runs).join(', ')}`);
process.exitCode = (await run()) ? 0 : 1;
