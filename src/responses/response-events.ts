/**
 * A node's chat chunks told as a response: for a stream as OpenAI's typed events, in either case as the response that
 * they come to. Each chunk is parsed once; the event of a piece of text is put together from a head that is serialised
 * once an item, the piece and its number.
 */
import type { Problem } from '../errors.ts';
import type { Retelling } from '../exchange.ts';
import {
  type FunctionCallItem,
  type Logprob,
  type MessageItem,
  newCall,
  newMessage,
  type OutputItem,
  outputText,
} from './items.ts';
import {
  begun,
  type ResponseUsage,
  responseObject,
  type Settings,
  type Standing,
} from './response-object.ts';

/** Where a response is kept. For one that is not, nothing. */
export interface Keeper {
  /** Settles when it is kept, as far as it can be. Asking again asks nothing. */
  begin(): Promise<unknown>;
  /** How it stands now that it is kept: `cancelled` where somebody has done that meanwhile. Never rejects. */
  end(standing: Standing): Promise<Standing['status']>;
}

interface Chunk {
  choices: {
    delta?: { role?: string; content?: string | null; tool_calls?: ToolCallDelta[] };
    logprobs?: { content: Logprob[] | null } | null;
    finish_reason: string | null;
  }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number };
  } | null;
  error?: unknown;
}

interface ToolCallDelta {
  index: number;
  id?: string;
  function?: { name?: string; arguments?: string };
}

/** What an event of this file's holds. */
export interface ToldEvent {
  type: string;
  item?: OutputItem;
  delta?: string;
  logprobs?: Logprob[];
}

/** An item that is being told: its text or arguments come in pieces. */
type Open = { head: string; logprobs: Logprob[] } & (
  | { item: MessageItem; text: string }
  | { item: FunctionCallItem; call: number }
);

const decoder = new TextDecoder();

export class ResponseEvents implements Retelling {
  readonly #settings: Settings;
  readonly #role: string;
  readonly #keeper: Keeper | undefined;
  #standing: Standing = { ...begun, output: [] };
  #open: Open | undefined;
  #finish: string | null = null;
  #usage: ResponseUsage | null = null;
  #broken = false;
  #number = 0;
  /** Events that have not gone out. */
  #events = '';

  /** @param role of the answer */
  constructor(settings: Settings, role: string, keeper: Keeper | undefined) {
    this.#settings = settings;
    this.#role = role;
    this.#keeper = keeper;
    void keeper?.begin();
  }

  begin(): string {
    // Told already, where it was taken up.
    if (this.#number > 0) return '';
    for (const type of ['response.created', 'response.in_progress']) this.#emit(type, { response: this });
    return this.#take();
  }

  add(events: Uint8Array): string {
    for (const line of decoder.decode(events).split('\n')) {
      // Of one in the background: whoever takes it up needs the tokens, see ../streams/numbering.ts.
      if (this.#settings.background && line.startsWith(': ids ')) this.#events += `${line}\n`;
      if (!line.startsWith('data: {')) continue;
      try {
        this.#fold(JSON.parse(line.slice('data: '.length)) as Chunk);
      } catch {
        // Something between the node and here has put in what a node does not write.
        this.#broken = true;
      }
    }
    return this.#take();
  }

  /** Goes on after events that were told before their worker was lost. */
  takeUp(events: readonly ToldEvent[]): void {
    this.begin();
    let calls = 0;
    for (const { type, item, delta = '', logprobs = [] } of events) {
      if (type === 'response.output_item.added') {
        if (item!.type === 'message') this.#openMessage(item);
        else this.#openCall(calls++, item!);
      } else if (type === 'response.output_item.done') this.#close(item!.status);
      else if (type === 'response.output_text.delta') this.#say(delta, logprobs);
      else if (type === 'response.function_call_arguments.delta') this.#addArguments(delta);
    }
    this.#take();
  }

  get whole(): boolean {
    return !this.#broken && this.#finish !== null;
  }

  async end(problem: Problem | undefined): Promise<string> {
    const standing = this.#standing;
    standing.usage = this.#usage;
    if (problem?.kind === 'client_gone' || problem?.kind === 'generation_cancelled') {
      standing.status = 'cancelled';
    } else if (problem || !this.whole) {
      standing.status = 'failed';
      standing.error = { code: 'server_error', message: 'The answer could not be completed.' };
    } else if (this.#finish === 'length') {
      standing.status = 'incomplete';
      standing.incomplete_details = { reason: 'max_output_tokens' };
    } else {
      standing.status = 'completed';
      standing.completed_at = Math.floor(Date.now() / 1000);
    }
    if (this.#open) this.#close('incomplete');
    if (this.#keeper && (await this.#keeper.end(standing)) === 'cancelled') {
      this.#standing = {
        ...standing,
        status: 'cancelled',
        completed_at: null,
        error: null,
        incomplete_details: null,
      };
    }
    this.#emit(lastEvent[this.#standing.status], { response: this });
    return this.#take();
  }

  toJSON() {
    return responseObject(this.#settings, this.#standing);
  }

  #fold({ choices, usage, error }: Chunk): void {
    if (error) return;
    if (usage) this.#usage = usageOf(usage);
    const choice = choices[0];
    if (!choice) return;
    if (choice.delta?.content) this.#say(choice.delta.content, choice.logprobs?.content ?? []);
    for (const call of choice.delta?.tool_calls ?? []) this.#call(call);
    if (choice.finish_reason === null) return;
    this.#finish = choice.finish_reason;
    // Whoever asked gets a message, also an empty one.
    if (!this.#open && this.#standing.output.length === 0) this.#openMessage();
    this.#close(this.#finish === 'length' ? 'incomplete' : 'completed');
  }

  #say(text: string, logprobs: Logprob[]): void {
    if (!this.#open || !('text' in this.#open)) this.#openMessage();
    const open = this.#open as Open & { text: string };
    open.text += text;
    if (logprobs.length > 0) open.logprobs.push(...logprobs);
    const likely = logprobs.length > 0 ? JSON.stringify(logprobs) : '[]';
    this.#events += `${open.head}${JSON.stringify(text)},"logprobs":${likely},"sequence_number":${this.#number++}}\n\n`;
  }

  #call({ index, id, function: called }: ToolCallDelta): void {
    if (!this.#open || !('call' in this.#open) || this.#open.call !== index) {
      this.#openCall(index, newCall(id, called?.name));
    }
    if (called?.arguments) this.#addArguments(called.arguments);
  }

  #addArguments(piece: string): void {
    const open = this.#open as Open & { item: FunctionCallItem };
    open.item.arguments += piece;
    this.#events += `${open.head}${JSON.stringify(piece)},"sequence_number":${this.#number++}}\n\n`;
  }

  #openMessage(item = newMessage(this.#role)): void {
    if (this.#open) this.#close('completed');
    const place = this.#add(item);
    this.#emit('response.content_part.added', { ...place, content_index: 0, part: outputText('') });
    const head = headOf('response.output_text.delta', { ...place, content_index: 0 });
    this.#open = { head, item, text: '', logprobs: [] };
  }

  #openCall(call: number, item: FunctionCallItem): void {
    if (this.#open) this.#close('completed');
    const head = headOf('response.function_call_arguments.delta', this.#add(item));
    this.#open = { head, item, call, logprobs: [] };
  }

  #add(item: MessageItem | FunctionCallItem) {
    const output_index = this.#standing.output.push(item) - 1;
    this.#emit('response.output_item.added', { output_index, item });
    return { item_id: item.id, output_index };
  }

  #close(status: FunctionCallItem['status']): void {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    const { item } = open;
    item.status = status;
    const output_index = this.#standing.output.length - 1;
    const place = { item_id: item.id, output_index };
    if ('text' in open) {
      const { text, logprobs } = open;
      const part = outputText(text, logprobs);
      open.item.content = [part];
      this.#emit('response.output_text.done', { ...place, content_index: 0, text, logprobs });
      this.#emit('response.content_part.done', { ...place, content_index: 0, part });
    } else {
      const { name, arguments: args } = open.item;
      this.#emit('response.function_call_arguments.done', { ...place, name, arguments: args });
    }
    this.#emit('response.output_item.done', { output_index, item });
  }

  #emit(type: string, fields: object): void {
    const data = JSON.stringify({ type, ...fields, sequence_number: this.#number++ });
    this.#events += `event: ${type}\ndata: ${data}\n\n`;
  }

  #take(): string {
    const events = this.#events;
    this.#events = '';
    return events;
  }
}

/** OpenAI has no event of its own for a response that was cancelled. */
const lastEvent = {
  in_progress: 'response.in_progress',
  completed: 'response.completed',
  incomplete: 'response.incomplete',
  failed: 'response.failed',
  cancelled: 'response.incomplete',
} as const;

/** An event up to where its piece stands. */
function headOf(type: string, fields: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields }).slice(0, -1)},"delta":`;
}

function usageOf({
  prompt_tokens,
  completion_tokens,
  total_tokens,
  prompt_tokens_details,
}: NonNullable<Chunk['usage']>): ResponseUsage {
  return {
    input_tokens: prompt_tokens,
    input_tokens_details: { cached_tokens: prompt_tokens_details?.cached_tokens ?? 0, cache_write_tokens: 0 },
    output_tokens: completion_tokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens,
  };
}
