import type { Grammar } from '../automaton.ts';

/** Whether a grammar allows exactly this. */
export function allows(grammar: Grammar, text: string): boolean {
  let state: Grammar['start'] | undefined = grammar.start;
  for (const character of text) state = state && grammar.step(state, character.codePointAt(0) as number);
  return state?.accepts ?? false;
}
