import { fileURLToPath } from 'node:url';
import type { Sampling, Segment } from '../../protocol.ts';
import type { Engine, Generation, GenerationEnd, GenerationRequest, TokenDetails } from '../types.ts';

export const tinyModel = fileURLToPath(
  new URL('../../../models/huozi-tiny/huozi-tiny-q8_0.gguf', import.meta.url),
);

export const greedy: Sampling = {
  temperature: 0,
  top_p: 1,
  top_k: 0,
  min_p: 0,
  repetition_penalty: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  seed: 0,
};

/** Eight short ones, that a batch is full of different answers. */
export const questions = [
  '你好',
  '3+5=?',
  '中国的首都是哪里？',
  'Hello',
  '背诵《静夜思》',
  '从1数到20',
  '你是谁？',
  '把5，2，9排序',
];

export interface Answer extends GenerationEnd {
  text: string;
  /** All that were told, also at the end. */
  ids: number[];
  /** What was shown for `continueIds`. */
  continued: string;
  events: { text: string; ids: readonly number[]; position: number; details?: TokenDetails }[];
}

export type Running = Generation & { answer: Promise<Answer> };

/** Starts a generation and gathers what it tells. `onText` sees each event as it comes. */
export function start(
  engine: Engine,
  request: Partial<GenerationRequest> & Pick<GenerationRequest, 'promptIds'>,
  onText?: (answer: Answer, generation: Generation) => void,
): Running {
  const events: Answer['events'] = [];
  let continued = '';
  let settle: (answer: Answer) => void;
  const answer = new Promise<Answer>((resolve) => {
    settle = resolve;
  });
  const gathered = (end: GenerationEnd): Answer => ({
    ...end,
    text: events.map(({ text }) => text).join(''),
    ids: [...events.flatMap(({ ids }) => [...ids]), ...(end.ids ?? [])],
    continued,
    events,
  });
  const whole = {
    sampling: greedy,
    maxTokens: 32,
    stopIds: [],
    stopStrings: [],
    ignoreEos: false,
    ...request,
  };
  const generation = engine.generate(whole, {
    onText(text, ids, position, details) {
      events.push({ text, ids, position, ...(details && { details }) });
      const { promptTokens } = generation;
      onText?.(gathered({ reason: 'length', promptTokens, completionTokens: position }), generation);
    },
    onContinued(text) {
      continued = text;
    },
    onEnd: (end) => settle(gathered(end)),
  });
  return Object.assign(generation, { answer });
}

/** A prompt in Huozi's template that asks for an answer to `text`. */
export function ask(engine: Engine, text: string): Int32Array {
  return engine.tokenize(askedIn(text));
}

/** The same as segments. */
export function askedIn(text: string): Segment[] {
  return [
    { control: 'bos' },
    { control: 'begin' },
    { text: `用户\n${text}` },
    { control: 'end' },
    { text: '\n' },
    { control: 'begin' },
    { text: '助手\n' },
  ];
}
