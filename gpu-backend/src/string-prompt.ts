/**
 * A prompt as one string, for engines that take nothing else and look for control tokens in all of it.
 *
 * What was typed cannot become one there: each literal of a control token in it gets a backslash after its first
 * character, and one that has backslashes there already gets one more. So it can be read, by people and by the model,
 * and taken back: `restore` gives the text that was typed, whatever that was.
 *
 *     typed                    <|endofutterance|>      <\|endofutterance|>      <s>     <0x0A>
 *     what the engine is sent  <\|endofutterance|>     <\\|endofutterance|>     <\s>    <\0x0A>
 *
 * This holds for tokenizers that look for the literals as they are, as Huozi's does; one that first normalises its
 * text (full-width letters, for instance) could still find one.
 */
import type { Segment } from './protocol.ts';

/** How the vocabulary spells what a prompt's control segments stand for. */
export interface Markers {
  /** Undefined where the engine puts its own before every prompt: then none is written. */
  bos: string | undefined;
  begin: string;
  end: string;
}

export const huoziMarkers = { bos: '<s>', begin: '<|beginofutterance|>', end: '<|endofutterance|>' } as const;

/**
 * What Huozi's tokenizers read as something else than its letters: control tokens, and byte tokens, which llama.cpp
 * takes by their names.
 */
export const huoziLiterals: readonly string[] = [
  ...Object.values(huoziMarkers),
  '</s>',
  '<unk>',
  ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
];

export interface Neutraliser {
  /** The text with none of the literals in it. */
  neutralise(text: string): string;
  /** The inverse, where no literal can begin inside of another. */
  restore(text: string): string;
}

/** @param literals two characters or more each, without backslashes */
export function neutraliser(literals: readonly string[]): Neutraliser {
  const rests = new Map<string, string[]>();
  for (const literal of literals) {
    const [first, ...rest] = literal;
    if (!first || rest.length === 0 || literal.includes('\\')) throw new RangeError(`literal ${literal}`);
    rests.set(first, [...(rests.get(first) ?? []), escaped(rest.join(''))]);
  }
  // Looks ahead without taking, so that literals that overlap are all found.
  const before = (backslash: string) => {
    const ways = [...rests].map(
      ([first, rest]) => `${escaped(first)}(?=${backslash}\\\\*(?:${rest.join('|')}))`,
    );
    return new RegExp(ways.join('|') || '(?!)', 'gu');
  };
  const whole = before('');
  const broken = new RegExp(`(${before('\\\\').source})\\\\`, 'gu');
  return {
    // Half a surrogate pair is no text that UTF-8 could carry.
    neutralise: (text) => text.replace(/\p{Surrogate}/gu, '\ufffd').replace(whole, '$&\\'),
    restore: (text) => text.replace(broken, '$1'),
  };
}

/** @param neutralise of the engine's literals */
export function stringPrompt(
  prompt: readonly Segment[],
  { bos, begin, end }: Markers,
  neutralise: Neutraliser['neutralise'],
): string {
  const spelled = { bos: bos ?? '', begin, end };
  let written = '';
  // As one, because a literal may stand across two pieces.
  let text = '';
  for (const segment of prompt) {
    if ('text' in segment) {
      text += segment.text;
    } else {
      written += neutralise(text) + spelled[segment.control];
      text = '';
    }
  }
  return written + neutralise(text);
}

function escaped(text: string): string {
  return text.replace(/[$()*+./?[\\\]^{|}-]/g, '\\$&');
}
