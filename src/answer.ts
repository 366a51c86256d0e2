/** A node's events put together into the one JSON body of an answer that is not streamed. */

interface ToolCallDelta {
  index: number;
  id?: string;
  type?: string;
  function?: { name?: string; arguments?: string };
}

/** Lists side by side: `content` and `refusal` of a chat, `tokens`, `token_logprobs`, … of a text completion. */
type Logprobs = Record<string, unknown[] | null>;

interface Chunk {
  id: string;
  object: string;
  created: number;
  model: string;
  system_fingerprint?: string;
  choices: {
    index?: number;
    delta?: { role?: string; content?: string | null; tool_calls?: ToolCallDelta[] };
    text?: string;
    logprobs?: Logprobs | null;
    finish_reason: string | null;
  }[];
  usage?: unknown;
  /** Base64. */
  routed_experts?: string;
  error?: unknown;
}

const decoder = new TextDecoder();

export class Answer {
  #head: Chunk | undefined;
  readonly #choices: Choice[] = [];
  /** Each event's, still in base64. */
  readonly #experts: string[] = [];
  #usage: unknown;
  #broken = false;

  /** Whether it is a whole answer, and not only the end of one. */
  get whole(): boolean {
    if (this.#broken || this.#choices.length === 0) return false;
    // By index, because a choice of which nothing has come is a hole in the list.
    for (let at = 0; at < this.#choices.length; at++) if (!this.#choices[at]?.finish) return false;
    return true;
  }

  /** @param events whole events */
  add(events: Uint8Array): void {
    for (const line of decoder.decode(events).split('\n')) {
      if (!line.startsWith('data: {')) continue;
      try {
        this.#fold(JSON.parse(line.slice('data: '.length)) as Chunk);
      } catch {
        // Something between the node and here has put in what a node does not write.
        this.#broken = true;
      }
    }
  }

  /** The body in OpenAI's shape. Only when it is whole. */
  toJSON() {
    const { id, created, model, system_fingerprint, object } = this.#head!;
    const chat = object === 'chat.completion.chunk';
    return {
      id,
      object: chat ? 'chat.completion' : object,
      created,
      model,
      ...(system_fingerprint === undefined ? {} : { system_fingerprint }),
      choices: this.#choices.map((choice, index) => choice.toJSON(index, chat)),
      usage: this.#usage,
      ...(this.#experts.length > 0 && { routed_experts: joinBase64(this.#experts) }),
    };
  }

  #fold(chunk: Chunk): void {
    if (chunk.error) return;
    this.#head ??= chunk;
    this.#usage = chunk.usage ?? this.#usage;
    if (chunk.routed_experts) this.#experts.push(chunk.routed_experts);
    for (const piece of chunk.choices) {
      const index = piece.index ?? 0;
      // A node's choices are few; what is not one of them must not become the length of a list.
      if (!Number.isInteger(index) || index < 0 || index >= mostChoices) throw new RangeError('choice');
      this.#choices[index] ??= new Choice();
      this.#choices[index].add(piece);
    }
  }
}

const mostChoices = 8;

class Choice {
  finish: string | null = null;
  #role: string | undefined;
  #text = '';
  #logprobs: Logprobs | null = null;
  readonly #calls = new Map<number, Required<ToolCallDelta['function'] & object> & { id: string }>();

  add({ delta, text, logprobs, finish_reason }: Chunk['choices'][number]): void {
    this.#role ??= delta?.role;
    this.#text += delta?.content ?? text ?? '';
    this.finish = finish_reason ?? this.finish;
    for (const call of delta?.tool_calls ?? []) this.#addCall(call);
    for (const [name, list] of Object.entries(logprobs ?? {})) {
      this.#logprobs ??= {};
      if (!list) this.#logprobs[name] ??= null;
      else if (this.#logprobs[name]) for (const one of list) this.#logprobs[name].push(one);
      else this.#logprobs[name] = list;
    }
  }

  toJSON(index: number, chat: boolean) {
    const end = { logprobs: this.#logprobs, finish_reason: this.finish };
    if (!chat) return { text: this.#text, index, ...end };
    const tool_calls = [...this.#calls.values()].map(({ id, ...call }) => ({
      id,
      type: 'function',
      function: call,
    }));
    const message = {
      role: this.#role,
      content: tool_calls.length > 0 && this.#text === '' ? null : this.#text,
      ...(tool_calls.length > 0 && { tool_calls }),
    };
    return { index, message, ...end };
  }

  #addCall({ index, id, function: piece }: ToolCallDelta): void {
    const call = this.#calls.get(index) ?? { id: '', name: '', arguments: '' };
    this.#calls.set(index, call);
    call.id ||= id ?? '';
    call.name += piece?.name ?? '';
    call.arguments += piece?.arguments ?? '';
  }
}

/** Each piece has its own padding, so they cannot stand side by side as they are. */
function joinBase64(pieces: readonly string[]): string {
  return btoa(pieces.map(atob).join(''));
}
