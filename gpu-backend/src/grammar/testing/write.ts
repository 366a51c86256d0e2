/** Writes texts of a grammar at random, with no model: whatever the grammar allows must come sooner or later. */
import type { Grammar, GrammarState } from '../automaton.ts';

export type Random = () => number;

/** Uniform in [0, 1), the same for the same seed. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sample = [...'aZ09 "\\/{}[]:,.-+eE_\n\té你😀', '\u0000', '\u007f'].map(
  (c) => c.codePointAt(0) as number,
);
/** What brings a text to its end, tried in this order once it is long. */
const closing = [...'"}],:019ZT-.@"atsfnrueulloy'].map((c) => c.charCodeAt(0));

/** A text of the grammar; after `long` characters it takes the shortest way out. @throws if there is none */
export function writeText(grammar: Grammar, random: Random, long = 120): string {
  let state: GrammarState = grammar.start;
  let text = '';
  for (let length = 0; ; length++) {
    if (state.accepts && (state.open.length === 0 || length > long || random() < 0.2)) return text;
    if (length > 20_000) throw new Error(`no end in sight: ${text.slice(0, 200)}`);
    const next: number =
      length > long && random() < 0.7
        ? (closing.find((c) => grammar.step(state, c)) ?? any(state, random))
        : any(state, random);
    const after = grammar.step(state, next);
    if (!after) continue;
    text += String.fromCodePoint(next);
    state = after;
  }
}

function any({ open }: GrammarState, random: Random): number {
  const { node } = open[Math.floor(random() * open.length)] ?? {};
  if (node?.kind !== 'characters') throw new Error('the grammar has no way on');
  const of = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  if (node.negated) return of(sample);
  const at = 2 * Math.floor((random() * node.ranges.length) / 2);
  const [from, to] = [node.ranges[at] as number, node.ranges[at + 1] as number];
  return from + Math.floor(random() * (Math.min(to, from + 300) - from + 1));
}
