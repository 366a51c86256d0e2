/** Questions with lettered answers: how they are put, and which letter an answer chose. */
import type { ChatCompletionMessageParam } from '../../chat-types.ts';
import type { Item, Score } from './suite.ts';

export interface ChoiceQuestion {
  question: string;
  options: readonly string[];
  /** Of the right option; empty where the file keeps it secret. */
  letter: string;
}

const letters = 'ABCDEFG';

function choiceText({ question, options }: ChoiceQuestion, ask: string): string {
  return [question.trim(), ...options.map((option, at) => `${letters[at]}. ${option.trim()}`), ask].join(
    '\n',
  );
}

/** Examples as rounds, then the question; what the exam is about stands in the system turn. */
export function choiceRounds(
  about: string,
  ask: string,
  shots: readonly ChoiceQuestion[],
  question: ChoiceQuestion,
): ChatCompletionMessageParam[] {
  return [
    { role: 'system', content: about },
    ...shots.flatMap((shot): ChatCompletionMessageParam[] => [
      { role: 'user', content: choiceText(shot, ask) },
      { role: 'assistant', content: shot.letter },
    ]),
    { role: 'user', content: choiceText(question, ask) },
  ];
}

/** Said outright; the last one counts, as an answer may weigh before it decides. */
const outright =
  /(?:答案|正确选项|正确的选项|应选|故选|选择|选项|answer|option)\s*(?:应该|应当|应|is|are|would be)?\s*(?:是|为|选|:)?\s*(?:选项|option)?\s*[("“'*【[]*\s*([A-G])(?![A-Za-z])/gi;
const leading = /^[\s("“'*【[]*(?!A [a-z])([A-G])(?![A-Za-z'/、]| or | and )/;
/** The article is no letter of an option. */
const alone = /(?<![A-Za-z])(?!A (?!or |and )[a-z])([A-G])(?![A-Za-z'])/g;

/** @returns the letter, or undefined when the answer says none, or more than one and none of them outright */
export function choiceIn(answer: string, options = 4): string | undefined {
  const text = answer.normalize('NFKC');
  const isOffered = (letter: string | undefined) =>
    letter !== undefined && letters.indexOf(letter) >= 0 && letters.indexOf(letter) < options;
  const said = [...text.matchAll(outright)].map(([, letter]) => letter!).filter(isOffered);
  if (said.length > 0) return said.at(-1);
  const first = leading.exec(text)?.[1];
  if (isOffered(first)) return first;
  const named = new Set([...text.matchAll(alone)].map(([, letter]) => letter!).filter(isOffered));
  return named.size === 1 ? [...named][0] : undefined;
}

export function scoreChoice({ key }: Item, [answer = '']: readonly string[]): Score {
  const { letter, options } = key as { letter: string; options: number };
  const read = choiceIn(answer, options) ?? null;
  return { points: read === letter ? 1 : 0, of: 1, read };
}
