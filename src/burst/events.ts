/** An endpoint's answer in the words of a node's (huozi-gpu-backend/protocol), without token ids, which nobody knows. */
import type { ClientEvents, NodeUsage } from 'huozi-gpu-backend/protocol';

export class Events {
  readonly #events: ClientEvents;
  readonly #chat: boolean;
  #begun = false;

  constructor(events: ClientEvents) {
    this.#events = events;
    this.#chat = events.object === 'chat.completion';
  }

  /** @param position pieces so far, this one included */
  text(text: string, position: number): string {
    const role = this.#begun ? {} : { role: this.#events.role };
    this.#begun = true;
    const said = this.#chat ? { delta: { ...role, content: text } } : { text };
    return this.#event(position, { choices: [{ index: 0, ...said, logprobs: null, finish_reason: null }] });
  }

  end(reason: 'stop' | 'length', position: number, usage: NodeUsage): string {
    const begin = this.#begun || !this.#chat ? '' : this.text('', position);
    const said = this.#chat ? { delta: {} } : { text: '' };
    const choices = [{ index: 0, ...said, logprobs: null, finish_reason: reason }];
    const { prompt_tokens, completion_tokens } = usage;
    const total = { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
    const told = this.#events.include_usage ? this.#event(position, { choices: [] }, total) : '';
    return `${begin}${this.#event(position, { choices })}${told}${comment(usage)}data: [DONE]\n\n`;
  }

  failure(usage: NodeUsage): string {
    const error = { message: '', type: 'server_error', param: null, code: 'upstream_error' };
    return `${comment(usage)}data: ${JSON.stringify({ error })}\n\n`;
  }

  #event(position: number, { choices }: { choices: object[] }, usage: object | null = null): string {
    const { id, object, created, model, include_usage } = this.#events;
    const data = {
      id,
      object: this.#chat ? 'chat.completion.chunk' : object,
      created,
      model,
      system_fingerprint: 'fp_burst',
      choices,
      ...(include_usage && { usage }),
    };
    return `id: ${position}\ndata: ${JSON.stringify(data)}\n\n`;
  }
}

const comment = (usage: NodeUsage) => `: usage ${JSON.stringify(usage)}\n`;
