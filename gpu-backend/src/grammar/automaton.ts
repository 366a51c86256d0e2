/**
 * Follows a grammar character by character: a pushdown automaton over all readings at once, as llama.cpp's grammar
 * sampler is one. Not that one, because there a grammar from outside can end the process (an exception or an
 * assertion through our stack, `std::regex` recursing over a long answer for a lazy trigger), and a look at all
 * tokens takes it milliseconds. Here every state is made once and remembers where each character leads, so that most
 * steps are one look into a map.
 */
import { GrammarTooAmbiguousError } from './errors.ts';
import { parseGbnf } from './gbnf.ts';
import { afterOne, type Characters, type Node, type Rule } from './nodes.ts';

/** What is still to be written in one reading: `node`, then `next`. Equal ones are the same object. */
interface Stack {
  readonly id: number;
  readonly node: Node | undefined;
  readonly next: Stack | undefined;
  readonly pushed: Map<Node, Stack>;
}

export interface GrammarState {
  /** Whether what was written is whole. */
  readonly accepts: boolean;
  /** Readings that wait for a character. */
  readonly open: readonly Stack[];
  /** The same, to be found by the character, where they are many. */
  readonly byCharacter: Waiting | undefined;
  /** Where characters lead that were asked for: undefined means nowhere. */
  readonly moves: Map<number, GrammarState | undefined>;
}

interface Waiting {
  /** By each character that they wait for. */
  readonly named: ReadonlyMap<number, readonly Stack[]>;
  /** Those that wait for one of a range, or for any but some. */
  readonly ranged: readonly Stack[];
}

/** So many readings are sooner looked at than looked up. */
const few = 16;
/** Of those that must all be looked at, for each of the thousands of characters that a vocabulary begins with. */
const maxRanged = 2_000;
/** Readings of one state, and steps to find them. Real grammars have a handful. */
const maxOpen = 12_000;
const maxVisited = 50_000;
/** Moves remembered before all are forgotten. */
const maxMoves = 200_000;

export class Grammar {
  readonly start: GrammarState;
  readonly #end: Stack = { id: 0, node: undefined, next: undefined, pushed: new Map() };
  readonly #states = new Map<string, GrammarState>();
  #stacks = 1;
  #moves = 0;

  /** @throws InvalidGrammarError, GrammarTooAmbiguousError */
  constructor(gbnf: string | Rule) {
    const root = typeof gbnf === 'string' ? parseGbnf(gbnf) : gbnf;
    this.start = this.#state([this.#push(root, this.#end)]);
  }

  /** @returns undefined where the grammar allows no such character */
  step(state: GrammarState, character: number): GrammarState | undefined {
    const known = state.moves.get(character);
    if (known || state.moves.has(character)) return known;
    const { byCharacter, open } = state;
    const after: Stack[] = [];
    for (const { next } of byCharacter?.named.get(character) ?? []) after.push(next as Stack);
    for (const { node, next } of byCharacter?.ranged ?? open) {
      if (matches(node as Characters, character)) after.push(next as Stack);
    }
    const move = after.length === 0 ? undefined : this.#state(after);
    if (++this.#moves > maxMoves) {
      for (const other of this.#states.values()) other.moves.clear();
      this.#states.clear();
      this.#moves = 0;
    }
    state.moves.set(character, move);
    return move;
  }

  /** Whether some character from `from` to `to` may come: for the first bytes of one whose rest is unknown. */
  canStep({ open }: GrammarState, from: number, to: number): boolean {
    return open.some(({ node }) => overlaps(node as Characters, from, to));
  }

  #push(node: Node, next: Stack): Stack {
    let stack = next.pushed.get(node);
    if (!stack) {
      stack = { id: this.#stacks++, node, next, pushed: new Map() };
      next.pushed.set(node, stack);
    }
    return stack;
  }

  /** Takes rules and choices apart until every reading waits for a character or is at its end. */
  #state(stacks: readonly Stack[]): GrammarState {
    const todo = [...stacks];
    const visited = new Set<Stack>();
    const open: Stack[] = [];
    let accepts = false;
    for (let stack = todo.pop(); stack; stack = todo.pop()) {
      if (visited.has(stack)) continue;
      visited.add(stack);
      if (open.length > maxOpen || visited.size > maxVisited) throw new GrammarTooAmbiguousError();
      const { node, next } = stack;
      if (!node || !next) {
        accepts = true;
        continue;
      }
      switch (node.kind) {
        case 'characters':
          open.push(stack);
          break;
        case 'empty':
          todo.push(next);
          break;
        case 'sequence':
          todo.push(this.#push(node.first, this.#push(node.rest, next)));
          break;
        case 'choice':
          for (const option of node.options) todo.push(this.#push(option, next));
          break;
        case 'rule':
          todo.push(this.#push(node.body as Node, next));
          break;
        case 'repeat':
          if (node.least === 0) todo.push(next);
          if (node.most > 0) todo.push(this.#push(node.body, this.#push(afterOne(node), next)));
          break;
        default:
          node satisfies never;
      }
    }
    open.sort((a, b) => a.id - b.id);
    const key = `${accepts ? '!' : ''}${open.map(({ id }) => id).join(' ')}`;
    let state = this.#states.get(key);
    if (!state) {
      const byCharacter = open.length > few ? waitingFor(open) : undefined;
      state = { accepts, open, byCharacter, moves: new Map() };
      this.#states.set(key, state);
    }
    return state;
  }
}

/** @throws GrammarTooAmbiguousError */
function waitingFor(open: readonly Stack[]): Waiting {
  const named = new Map<number, Stack[]>();
  const ranged: Stack[] = [];
  for (const stack of open) {
    const { ranges, negated } = stack.node as Characters;
    if (negated || ranges.some((from, i) => i % 2 === 0 && from !== ranges[i + 1])) {
      ranged.push(stack);
      continue;
    }
    for (const character of new Set(ranges)) {
      const known = named.get(character);
      if (known) known.push(stack);
      else named.set(character, [stack]);
    }
  }
  if (ranged.length > maxRanged) throw new GrammarTooAmbiguousError();
  return { named, ranged };
}

function matches({ ranges, negated }: Characters, character: number): boolean {
  for (let i = 0; i < ranges.length; i += 2) {
    if (character >= (ranges[i] as number) && character <= (ranges[i + 1] as number)) return !negated;
  }
  return negated;
}

function overlaps({ ranges, negated }: Characters, from: number, to: number): boolean {
  if (!negated) {
    for (let i = 0; i < ranges.length; i += 2) {
      if ((ranges[i] as number) <= to && (ranges[i + 1] as number) >= from) return true;
    }
    return false;
  }
  // Something is left of it unless the ranges cover all of it.
  let left = from;
  const sorted = ranges.flatMap((value, i) =>
    i % 2 === 0 ? [[value, ranges[i + 1] as number] as const] : [],
  );
  for (const [first, last] of sorted.sort((a, b) => a[0] - b[0])) {
    if (first > left) break;
    left = Math.max(left, last + 1);
  }
  return left <= to;
}
