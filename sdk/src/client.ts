/** The client: options in, resources out. */

import { createCall } from './call.ts';
import type { ChatCompletions } from './chat-completions.ts';
import type { Completions } from './completions.ts';
import { HuoziError } from './errors.ts';
import { type Models, models } from './models.ts';
import type { ClientSettings, Deadlines } from './options.ts';
import { type Client, creator, type OpenCall } from './requester.ts';
import { ChatStream, HuoziStream } from './stream.ts';

/**
 * What a client is made of.
 *
 * @example
 * const options: HuoziOptions = {
 *   baseURL: 'https://huozi.example.com/v1',
 *   apiKey: async () => (await fetch('/session-key')).text(),
 *   deadlines: { idle: 20_000 },
 * };
 */
export interface HuoziOptions {
  /** The API's address up to `/v1`; an origin alone gets `/v1`. A page may give a path of its own origin. */
  baseURL: string;
  /** The key, or a function that is asked for it before each try. */
  apiKey: string | (() => string | Promise<string>);
  /** Milliseconds; 0 is off. @default { connect: 30_000, firstToken: 300_000, idle: 60_000 } */
  deadlines?: Partial<Deadlines> | undefined;
  /** Tries after the first one. @default 2 */
  maxRetries?: number | undefined;
  /** Longest `Retry-After` to wait for, seconds; a longer one is thrown with its error. @default 60 */
  maxRetryAfter?: number | undefined;
  /** Sent with every request. */
  defaultHeaders?: HeadersInit | undefined;
  /** Instead of the runtime's own, for instance a Worker's service binding. */
  fetch?: typeof fetch | undefined;
  /**
   * Asks the edge to keep streamed answers, so that one whose connection is cut goes on by itself. Turn it off for
   * servers that refuse fields that they do not know, as OpenAI's own. @default true
   */
  resumable?: boolean | undefined;
  /** A literal key in a page is everybody's; this allows one anyway. A function is always allowed. */
  dangerouslyAllowBrowser?: boolean | undefined;
}

/**
 * A client of a Huozi Edge, or of anything else that speaks OpenAI's chat API.
 *
 * @example
 * const huozi = new Huozi({ baseURL: 'http://127.0.0.1:8787/v1', apiKey: 'hz_…' });
 * const stream = await huozi.chat.completions.create({
 *   model: 'huozi',
 *   messages: [{ role: 'user', content: '你好' }],
 *   stream: true,
 * });
 * for await (const text of stream.textStream) process.stdout.write(text);
 */
export class Huozi implements Client {
  declare readonly chat: { readonly completions: ChatCompletions };
  declare readonly completions: Completions;
  declare readonly models: Models;
  /** @internal What the other entry points of this package build on. */
  declare readonly call: OpenCall;

  /** Throws a HuoziError for options that cannot work. */
  constructor(options: HuoziOptions) {
    const { apiKey } = options;
    const baseURL = options.baseURL.replace(/\/+$/, '');
    if (!/^(https?:\/)?\//.test(baseURL)) throw new HuoziError('baseURL is no address');
    if (!apiKey) throw new HuoziError('apiKey is missing');
    if ('document' in globalThis && typeof apiKey === 'string' && !options.dangerouslyAllowBrowser) {
      throw new HuoziError('An apiKey in a page is public; see dangerouslyAllowBrowser');
    }
    const { maxRetries = 2, maxRetryAfter = 60, resumable = true } = options;
    const preset = resumable || undefined;
    const settings: ClientSettings = {
      ...options,
      baseURL: /\/\/[^/]+$/.test(baseURL) ? `${baseURL}/v1` : baseURL,
      deadlines: { connect: 30_000, firstToken: 300_000, idle: 60_000, ...options.deadlines },
      maxRetries,
      maxRetryAfter,
    };
    this.call = createCall.bind(null, settings);
    this.chat = {
      completions: creator(this.call, '/chat/completions', ChatStream, preset) as ChatCompletions,
    };
    this.completions = creator(this.call, '/completions', HuoziStream, preset) as Completions;
    this.models = models(this.call);
  }
}
