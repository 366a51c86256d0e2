import type { GenerationEnd, GenerationRequest, ServedEngine, ServedGeneration } from '../engine/types.ts';
import type { GenerationSink } from './generations.ts';

interface Choices {
  cancel(): void;
  /** Rejects with what one of them is refused with; the others are cancelled, and nothing is told. */
  readonly accepted: Promise<void>;
}

/**
 * Several generations of one prompt as one answer: they end together, and one that fails takes the others with it.
 * @param onEnd when the last one has ended
 * @throws what `Engine.generate` refuses with
 */
export function startChoices(
  engine: ServedEngine,
  requests: readonly GenerationRequest[],
  sink: GenerationSink,
  onEnd: (end: GenerationEnd) => void,
): Choices {
  const generations: ServedGeneration[] = [];
  const ends: GenerationEnd[] = [];
  const positions = requests.map(() => 0);
  let told = 0;
  let refused = false;
  const cancel = () => {
    for (const generation of generations) generation.cancel();
  };
  const moveTo = (choice: number, position: number) => {
    told += position - (positions[choice] as number);
    positions[choice] = position;
    return told;
  };
  const start = (request: GenerationRequest, choice: number) =>
    engine.generate(request, {
      onContinued: (text) => sink.onContinued(text),
      onText(text, ids, position, details) {
        if (!refused) sink.onText(text, ids, moveTo(choice, position), details, choice);
      },
      onEnd(end) {
        ends.push(end);
        if (refused) return;
        const isGood = end.reason === 'stop' || end.reason === 'length';
        if (isGood) sink.onChoiceEnd(end, moveTo(choice, end.completionTokens), choice);
        if (ends.length === requests.length) onEnd(together(ends));
        else if (!isGood) cancel();
      },
    });
  try {
    for (const [choice, request] of requests.entries()) generations.push(start(request, choice));
  } catch (error) {
    refused = true;
    cancel();
    throw error;
  }
  const accepted = Promise.all(generations.map((generation) => generation.accepted)).then(
    () => undefined,
    (refusal) => {
      refused = true;
      cancel();
      throw refusal;
    },
  );
  return { cancel, accepted };
}

/** The prompt counts once. The first that went wrong says why, since the others were cancelled for it. */
function together(ends: readonly GenerationEnd[]): GenerationEnd {
  const [first] = ends as [GenerationEnd];
  if (ends.length === 1) return first;
  const bad = ends.find(({ reason }) => reason !== 'stop' && reason !== 'length');
  const length = ends.find(({ reason }) => reason === 'length');
  const { reason, promptTokens, error } = bad ?? length ?? first;
  const cached = ends.flatMap(({ cachedTokens }) => cachedTokens ?? []);
  return {
    reason,
    promptTokens,
    completionTokens: ends.reduce((sum, { completionTokens }) => sum + completionTokens, 0),
    // What the choices share among themselves was evaluated for the first of them.
    ...(cached.length > 0 && { cachedTokens: Math.min(...cached) }),
    ...(error && { error }),
  };
}
