/** A grammar as its parser leaves it, and what can be known of it before anything is written. */

export type Node =
  | { readonly kind: 'empty' }
  /** One character in, or if negated not in, `[from, to, from, to, …]`: code points, both ends included. */
  | { readonly kind: 'characters'; readonly ranges: readonly number[]; readonly negated: boolean }
  | { readonly kind: 'sequence'; readonly first: Node; readonly rest: Node }
  | { readonly kind: 'choice'; readonly options: readonly Node[] }
  | Rule
  | Repeat;

export type Characters = Extract<Node, { kind: 'characters' }>;

export interface Rule {
  readonly kind: 'rule';
  readonly name: string;
  /** Set once the whole grammar is read. */
  body: Node | undefined;
}

export interface Repeat {
  readonly kind: 'repeat';
  readonly body: Node;
  readonly least: number;
  readonly most: number;
  /** The same after one more turn. */
  after: Repeat | undefined;
}

const empty: Node = { kind: 'empty' };

export function sequence(parts: readonly Node[]): Node {
  return parts.reduceRight<Node>(
    (rest, first) => (rest === empty ? first : { kind: 'sequence', first, rest }),
    empty,
  );
}

export function afterOne(repeat: Repeat): Repeat {
  const { body, least, most } = repeat;
  if (least === 0 && most === Number.POSITIVE_INFINITY) return repeat;
  repeat.after ??= { kind: 'repeat', body, least: Math.max(0, least - 1), most: most - 1, after: undefined };
  return repeat.after;
}

/** A rule that can come to itself without a character in between, which no reader from the left can follow. */
export function leftRecursive(rules: readonly Rule[]): Rule | undefined {
  const nullable = nullableNodes(rules);
  const done = new Set<Rule>();
  const within = new Set<Rule>();
  // Not by recursion: rules can be chained by the thousand.
  const path: { rule: Rule; nexts: Iterator<Rule> }[] = [];
  const enter = (rule: Rule) => {
    within.add(rule);
    path.push({ rule, nexts: leftmost(rule.body ?? empty, nullable) });
  };
  for (const start of rules) {
    if (!done.has(start)) enter(start);
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const { value, done: through } = top.nexts.next();
      if (through) {
        path.pop();
        within.delete(top.rule);
        done.add(top.rule);
      } else if (within.has(value)) {
        return value;
      } else if (!done.has(value)) {
        enter(value);
      }
    }
  }
  return undefined;
}

/** Nodes that can be passed without a character. Each is looked at once, however rules hang together. */
function nullableNodes(rules: readonly Rule[]): Set<Node> {
  const nullable = new Set<Node>();
  const wholes = new Map<Node, Node[]>();
  const todo: Node[] = [...rules];
  const seen = new Set(todo);
  for (let node = todo.pop(); node; node = todo.pop()) {
    if (node.kind === 'empty' || (node.kind === 'repeat' && node.least === 0)) nullable.add(node);
    for (const part of partsOf(node)) {
      const known = wholes.get(part);
      if (known) known.push(node);
      else wholes.set(part, [node]);
      if (seen.has(part)) continue;
      seen.add(part);
      todo.push(part);
    }
  }
  // Goes on over what is added meanwhile.
  for (const node of nullable) {
    for (const whole of wholes.get(node) ?? []) {
      if (whole.kind !== 'sequence' || (nullable.has(whole.first) && nullable.has(whole.rest)))
        nullable.add(whole);
    }
  }
  return nullable;
}

function partsOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'sequence':
      return [node.first, node.rest];
    case 'choice':
      return node.options;
    case 'rule':
      return node.body ? [node.body] : [];
    case 'repeat':
      return [node.body];
    default:
      return [];
  }
}

/** Rules that may begin at the first character of `node`. */
function* leftmost(node: Node, nullable: ReadonlySet<Node>): Generator<Rule> {
  for (let at = node; ; at = at.rest) {
    if (at.kind === 'rule') yield at;
    else if (at.kind === 'repeat') yield* leftmost(at.body, nullable);
    else if (at.kind === 'choice') for (const option of at.options) yield* leftmost(option, nullable);
    if (at.kind !== 'sequence') return;
    yield* leftmost(at.first, nullable);
    if (!nullable.has(at.first)) return;
  }
}
