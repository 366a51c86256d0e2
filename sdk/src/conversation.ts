/** `huozi/conversation`: a chat that remembers, fits the model's context, and can be taken back and branched. */
import type { ChatCompletionCreateParams, ChatCompletionMessageParam } from './chat-types.ts';
import type { Huozi } from './client.ts';
import { HuoziError } from './errors.ts';
import type { RequestOptions } from './options.ts';
import type { ChatStream } from './stream.ts';

/**
 * What every turn is asked with, and how much may be said.
 *
 * @example
 * const options: ConversationOptions = { model: 'huozi', system: '你是一个智能助手', contextTokens: 32768 };
 * const chat = new Conversation(huozi, options);
 */
export interface ConversationOptions
  extends Omit<ChatCompletionCreateParams, 'messages' | 'stream' | 'n' | 'tools' | 'tool_choice'> {
  /** The system message; it is never cut. */
  system?: string | undefined;
  /** What was said before, without the system message. */
  history?: readonly ChatCompletionMessageParam[] | undefined;
  /** Tokens that prompt and answer may have together; undefined: nothing is ever left out. */
  contextTokens?: number | undefined;
  /** Tokens of the context kept free for the answer. @default max_tokens, or a quarter of the context */
  answerTokens?: number | undefined;
  /** Counts a text's tokens, if you can. Else estimated on the safe side, and learnt from each answer's usage. */
  countTokens?: ((text: string) => number) | undefined;
}

const underWay = 'The turn before has not ended: read it, or abort() it';

/** The template's words around a turn, tokens: two markers, the role, two newlines. */
const turnTokens = 8;

/**
 * A conversation: {@link send} adds your turn and, when its stream has ended whole, the answer. A turn that failed or
 * was left early is not remembered; `unfinished` has what came of it.
 *
 * @example
 * import { Conversation } from 'huozi/conversation';
 * const chat = new Conversation(huozi, { model: 'huozi', system: '你是一个智能助手', contextTokens: 32768 });
 * const stream = await chat.send('背诵《静夜思》');
 * for await (const text of stream.textStream) process.stdout.write(text);
 */
export class Conversation {
  /** May be changed between turns. */
  system: string | undefined;
  /** All turns, also those that no longer fit and are not sent. */
  readonly messages: ChatCompletionMessageParam[];
  /** How many of the oldest messages the last request left out. */
  leftOut = 0;
  /** The text of the last turn's answer if that turn is not remembered. */
  unfinished: string | undefined;
  #huozi: Pick<Huozi, 'chat'>;
  #options: ConversationOptions;
  /** Tokens that came of each estimated one; from usage. */
  #scale = 1;
  /** The turn under way, so that two do not get into each other. */
  #turn: ChatStream | undefined;

  constructor(huozi: Pick<Huozi, 'chat'>, options: ConversationOptions) {
    const { system, history = [], ...rest } = options;
    this.#huozi = huozi;
    this.#options = rest;
    this.system = system;
    this.messages = [...history];
  }

  /**
   * Says something. The stream is read as any other; the turn is remembered when it has ended whole.
   *
   * @example
   * const message = await (await chat.send('你好')).finalMessage();
   */
  async send(content: string, options?: RequestOptions): Promise<ChatStream> {
    const asked = { role: 'user' as const, content };
    return this.#ask([...this.messages, asked], options);
  }

  /**
   * Asks the last question again; the new answer takes the old one's place once it is whole.
   *
   * @example
   * const stream = await chat.regenerate();
   */
  async regenerate(options?: RequestOptions): Promise<ChatStream> {
    const asked = this.messages.slice(0, this.#lastQuestion() + 1);
    if (asked.length === 0) throw new HuoziError('Nothing was asked yet');
    return this.#ask(asked, options);
  }

  /**
   * Goes on with a turn whose answer is under way elsewhere: in the page that was here before this one was loaded.
   *
   * @param content what was asked; undefined: the last question, whose new answer takes the old one's place
   * @example
   * const stream = chat.takeUp(await follow(huozi, keptAt), '背诵《静夜思》');
   */
  takeUp(stream: ChatStream, content?: string): ChatStream {
    const asked =
      content === undefined
        ? this.messages.slice(0, this.#lastQuestion() + 1)
        : [...this.messages, { role: 'user' as const, content }];
    this.#remember(stream, asked);
    return stream;
  }

  /**
   * Takes the last question and its answer back.
   *
   * @returns the question's text
   * @example
   * input.value = chat.undo() ?? '';
   */
  undo(): string | undefined {
    const at = this.#lastQuestion();
    if (at < 0) return undefined;
    const [question] = this.messages.splice(at);
    return question ? textOf(question) : undefined;
  }

  /**
   * Another conversation with the same beginning; neither notices the other.
   *
   * @param at messages that it keeps
   * @example
   * const other = chat.branch(2);
   * await other.send('换一首');
   */
  branch(at: number = this.messages.length): Conversation {
    const branched = new Conversation(this.#huozi, {
      ...this.#options,
      system: this.system,
      history: structuredClone(this.messages.slice(0, at)),
    });
    branched.#scale = this.#scale;
    return branched;
  }

  /**
   * What can be kept and given back as options.
   *
   * @example
   * localStorage.chat = JSON.stringify(chat);
   * const again = new Conversation(huozi, { model: 'huozi', ...JSON.parse(localStorage.chat) });
   */
  toJSON(): { system: string | undefined; history: ChatCompletionMessageParam[] } {
    return { system: this.system, history: this.messages };
  }

  async #ask(messages: ChatCompletionMessageParam[], options?: RequestOptions): Promise<ChatStream> {
    if (this.#turn) throw new HuoziError(underWay);
    const { contextTokens: _, answerTokens: __, countTokens: ___, ...body } = this.#options;
    const sent = this.#fit(messages);
    this.leftOut = messages.length - sent.length;
    const system = this.system ? [{ role: 'system' as const, content: this.system }] : [];
    const all = [...system, ...sent];
    const stream = await this.#huozi.chat.completions.create(
      { ...body, messages: all, stream: true },
      options,
    );
    this.#remember(stream, messages);
    stream.ended.then((error) => {
      if (!error) this.#learn(all, stream.usage?.prompt_tokens);
    });
    return stream;
  }

  #remember(stream: ChatStream, asked: readonly ChatCompletionMessageParam[]): void {
    if (this.#turn) throw new HuoziError(underWay);
    this.#turn = stream;
    this.unfinished = undefined;
    // Waits for whoever reads the stream; does not read it.
    stream.ended.then((error) => {
      this.#turn = undefined;
      const message = stream.snapshot?.choices[0]?.message;
      if (error) this.unfinished = message?.content ?? '';
      else this.messages.splice(0, this.messages.length, ...asked, message!);
    });
  }

  /** The latest messages that fit, from a question on; the last one always. */
  #fit(messages: ChatCompletionMessageParam[]): ChatCompletionMessageParam[] {
    const {
      contextTokens,
      max_tokens,
      answerTokens = max_tokens ?? (contextTokens ?? 0) / 4,
    } = this.#options;
    if (contextTokens === undefined) return messages;
    let left = contextTokens - answerTokens;
    if (this.system) left -= this.#count(this.system);
    let from = messages.length - 1;
    for (let at = from; at >= 0; at--) {
      left -= this.#count(textOf(messages[at]!));
      if (left < 0) break;
      // A history that begins with an answer is not what models have learnt.
      if (isQuestion(messages[at]!)) from = at;
    }
    return messages.slice(from);
  }

  #count(text: string): number {
    const { countTokens } = this.#options;
    return turnTokens + (countTokens ? countTokens(text) : Math.ceil(estimate(text) * this.#scale));
  }

  #learn(messages: ChatCompletionMessageParam[], tokens: number | undefined): void {
    const estimated = messages.reduce((sum, message) => sum + turnTokens + estimate(textOf(message)), 0);
    // A little more than what was seen: the next text is another one.
    if (tokens) this.#scale = Math.min(2, Math.max(0.25, (tokens / estimated) * 1.1));
  }

  #lastQuestion(): number {
    return this.messages.findLastIndex(isQuestion);
  }
}

const isQuestion = ({ role }: ChatCompletionMessageParam) => role === 'user' || role === '用户';

function textOf({ content }: ChatCompletionMessageParam): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map(({ text }) => text).join('');
}

/** Tokens at most, nearly: a Chinese character is one or two, other letters come three to five in one. */
function estimate(text: string): number {
  const wide = text.match(/[\u0300-\u{10ffff}]/gu)?.length ?? 0;
  return wide + (text.length - wide) / 3;
}
