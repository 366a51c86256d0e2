/** A node's events put together into the one JSON body of an answer that is not streamed. */

interface Chunk {
  id: string;
  object: string;
  created: number;
  model: string;
  system_fingerprint?: string;
  choices: {
    delta?: { role?: string; content?: string };
    text?: string;
    finish_reason: string | null;
  }[];
  usage?: unknown;
  error?: unknown;
}

const decoder = new TextDecoder();

export class Answer {
  #head: Chunk | undefined;
  #role: string | undefined;
  #text = '';
  #finish: string | null = null;
  #usage: unknown;
  #broken = false;

  /** Whether it is a whole answer, and not only the end of one. */
  get whole(): boolean {
    return !this.#broken && this.#head !== undefined && this.#finish !== null;
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
    const end = { logprobs: null, finish_reason: this.#finish };
    const chat = object === 'chat.completion.chunk';
    return {
      id,
      object: chat ? 'chat.completion' : object,
      created,
      model,
      ...(system_fingerprint === undefined ? {} : { system_fingerprint }),
      choices: [
        chat
          ? { index: 0, message: { role: this.#role, content: this.#text }, ...end }
          : { text: this.#text, index: 0, ...end },
      ],
      usage: this.#usage,
    };
  }

  #fold(chunk: Chunk): void {
    if (chunk.error) return;
    this.#head ??= chunk;
    this.#usage = chunk.usage ?? this.#usage;
    const choice = chunk.choices[0];
    if (!choice) return;
    this.#role ??= choice.delta?.role;
    this.#text += choice.delta?.content ?? choice.text ?? '';
    this.#finish = choice.finish_reason ?? this.#finish;
  }
}
