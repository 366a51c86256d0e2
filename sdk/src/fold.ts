/** Adds the chunks of a stream up to the answer that the same request would have got without `stream`. */

export interface Piece {
  index: number;
  finish_reason?: string | null;
  logprobs?: Record<string, unknown> | null;
  /** Completions. */
  text?: string;
  /** Chat. */
  delta?: Record<string, unknown>;
}

interface ToolCall {
  index?: number;
  function?: { arguments?: string };
}

interface Choice {
  index: number;
  text?: string;
  message?: Record<string, unknown>;
  finish_reason: string | null;
  logprobs: Record<string, unknown[]> | null;
}

export interface StreamChunk {
  object: string;
  choices: readonly object[];
  usage?: object | null;
}

interface Whole {
  object: string;
  choices: Choice[];
  usage?: object;
}

/** What a stream must know of its kind of chunks. */
export interface Folding {
  /** The answer so far; undefined before the first chunk. */
  whole: object | undefined;
  /** Every choice that began has also ended. */
  readonly isWhole: unknown;
  /** Some servers send the role long before the first token. */
  sawToken: unknown;
  /** Throws what JavaScript throws when a chunk does not have a chunk's shape. True where it has more than usage. */
  add(chunk: object): boolean;
  /** Of the first choice. */
  textOf(chunk: object): string | null | undefined;
}

export class Fold implements Folding {
  declare whole: Whole | undefined;
  declare sawToken: unknown;

  add(chunk: StreamChunk): boolean {
    if (!this.whole) {
      const { usage: _, ...head } = chunk;
      this.whole = { ...head, object: String(chunk.object).replace('.chunk', ''), choices: [] };
    }
    if (chunk.usage) this.whole.usage = chunk.usage;
    for (const piece of chunk.choices as readonly Piece[]) this.#addPiece(this.whole.choices, piece);
    return chunk.choices.length > 0;
  }

  get isWhole(): unknown {
    return this.whole?.choices.length && this.whole.choices.every((choice) => choice.finish_reason);
  }

  textOf({ choices: [piece] }: { choices: readonly Piece[] }): string | null | undefined {
    return piece?.index === 0 ? ((piece.delta?.content as string) ?? piece.text) : undefined;
  }

  #addPiece(choices: Choice[], { index, delta, text, finish_reason, logprobs }: Piece): void {
    // Searched, not used as an array index, which a hostile server could make a billion.
    let choice = choices.find((one) => one.index === index);
    if (!choice) {
      choice = { index, finish_reason: null, logprobs: null };
      if (delta) choice.message = { role: 'assistant', content: null };
      choices.push(choice);
      choices.sort((a, b) => a.index - b.index);
    }
    this.sawToken ||= text || finish_reason || delta?.content || delta?.tool_calls;
    if (finish_reason) choice.finish_reason = finish_reason;
    if (logprobs) choice.logprobs = joinLists(choice.logprobs ?? {}, logprobs);
    if (text !== undefined) choice.text = (choice.text ?? '') + text;
    for (const key in delta) {
      const value = delta[key];
      if (key === 'role') choice.message!.role = value;
      else if (typeof value === 'string') choice.message![key] = `${choice.message![key] ?? ''}${value}`;
      else if (key === 'tool_calls' && value) {
        choice.message!.tool_calls ??= [];
        addCalls(choice.message!.tool_calls as ToolCall[], value as ToolCall[]);
      }
    }
  }
}

function addCalls(calls: ToolCall[], deltas: readonly ToolCall[]): void {
  for (const { index, ...delta } of deltas) {
    const known = calls.find((one) => one.index === index);
    if (known) known.function!.arguments += delta.function?.arguments ?? '';
    else {
      const call = { ...delta, function: { ...delta.function } };
      call.function.arguments ??= '';
      // The stream's own number, which an answer without `stream` does not have: kept, but not shown.
      calls.push(Object.defineProperty(call, 'index', { value: index }));
    }
  }
}

/** Logprobs are lists side by side (`content`; `tokens`, `token_logprobs`, …), cut where the chunks were cut. */
function joinLists(
  into: Record<string, unknown[]>,
  from: Record<string, unknown>,
): Record<string, unknown[]> {
  for (const key in from) {
    const list = from[key];
    if (!Array.isArray(list)) continue;
    into[key] ??= [];
    into[key].push(...list);
  }
  return into;
}
