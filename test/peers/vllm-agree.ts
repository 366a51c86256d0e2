/** Greedy answers of vLLM beside our engine's, id by id. */
import { readFileSync } from 'node:fs';
import { loadEngine } from '../../gpu-backend/src/engine/engine.ts';
import { type Answer, ask, greedy, start, tinyModel } from '../../gpu-backend/src/engine/testing/generate.ts';
import type { Engine, TokenLogprob } from '../../gpu-backend/src/engine/types.ts';
import { createLog } from '../../gpu-backend/src/server/log.ts';
import { huoziMarkers } from '../../gpu-backend/src/string-prompt.ts';
import { startVllmEngine } from '../../gpu-backend/src/vllm/engine.ts';
import { heldOut, inParallel } from '../fleet/migration.ts';
import { alternatives, parting, shown } from './partings.ts';

function questions(): string[] {
  const lines = readFileSync(heldOut, 'utf8').trim().split('\n');
  const all = lines.map((line) => {
    const { messages } = JSON.parse(line) as { messages: { role: string; content: string }[] };
    return messages.find(({ role }) => role === 'user')!.content;
  });
  return [...new Set(all)];
}

async function answers(engine: Engine, asked: readonly string[]): Promise<Answer[]> {
  const told: Answer[] = [];
  await inParallel(asked, 8, async (question, i) => {
    const promptIds = ask(engine, question);
    told[i] = await start(engine, { promptIds, sampling: greedy, maxTokens: 96, logprobs: alternatives })
      .answer;
  });
  return told;
}

function tokensOf(answer: Answer): TokenLogprob[] {
  return [
    ...answer.events.flatMap(({ details }) => details?.logprobs ?? []),
    ...(answer.details?.logprobs ?? []),
  ];
}

/** Natural logarithms: where the distance of the two best tokens is looked at, to tell how near the engines compute. */
const close = 4;

/** How far the second best token lies behind the best, by each engine, where both name the same two. */
function gaps(
  one: readonly TokenLogprob[],
  other: readonly TokenLogprob[],
  before: number,
): [number, number][] {
  return one.slice(0, before).flatMap((mine, i): [number, number][] => {
    const [[a, b], [c, d]] = [mine.top_logprobs, other[i]!.top_logprobs];
    if (!a || !b || !c || !d || a.token !== c.token || b.token !== d.token) return [];
    return [[a.logprob - b.logprob, c.logprob - d.logprob]];
  });
}

/** @param url of a vLLM that serves huozi-tiny */
export async function agree(url: string, most: number): Promise<boolean> {
  const options = { slots: 8, contextTokens: 8192, batchTokens: 256, threads: 1, gpuLayers: 0 };
  const ours = await loadEngine({ modelPath: tinyModel, ...options });
  const theirs = await startVllmEngine({ modelPath: tinyModel, log: createLog('silent'), upstream: { url } });
  try {
    const all = questions();
    const step = Math.max(1, Math.floor(all.length / most));
    const asked = all.filter((_, i) => i % step === 0).slice(0, most);
    const [a, b] = [await answers(ours, asked), await answers(theirs as unknown as Engine, asked)];
    const controls = new Set(Object.values(ours.info.tokens));
    const apart: number[] = [];
    let [same, explained, controlIds] = [0, 0, 0];
    for (const [i, one] of a.entries()) {
      const other = b[i]!;
      // The last id may be the one that ended it.
      controlIds += other.ids.slice(0, -1).filter((id) => controls.has(id)).length;
      const [mine, its] = [tokensOf(one), tokensOf(other)];
      const part = parting(mine, its, huoziMarkers.end);
      for (const [x, y] of gaps(mine, its, part?.at ?? mine.length))
        if (x < close) apart.push(Math.abs(x - y));
      if (one.ids.join() === other.ids.join()) same++;
      else {
        if (part?.near) explained++;
        process.stdout.write(`${asked[i]}: ${part ? shown(part) : 'ends differ'}\n`);
      }
    }
    apart.sort((x, y) => x - y);
    const [half, most90] = [0.5, 0.9].map((share) => apart[Math.floor(share * apart.length)] ?? 0);
    process.stdout.write(
      `${theirs.info.library.version}: ${same} of ${asked.length} greedy answers the same id by id ` +
        `(${((100 * same) / asked.length).toFixed(1)} %), ${explained} of ${asked.length - same} differences are ` +
        `near-ties; ${controlIds} control ids inside of answers; where the second token is less than ${close} behind ` +
        `(${apart.length} times), the engines see that distance alike within ${half!.toFixed(3)} (half), ` +
        `${most90!.toFixed(3)} (90 %), ${(apart.at(-1) ?? 0).toFixed(3)} (all)\n`,
    );
    return same >= 0.95 * asked.length && explained === asked.length - same && controlIds === 0;
  } finally {
    await ours.close();
    await theirs.close();
  }
}
