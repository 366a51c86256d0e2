/**
 * What must hold in every runtime, without a word of Node's: each hostile scenario, and a round through the entry
 * points. It is given the package, so that it can be the packed one.
 */

import type { Conversation as ConversationClass } from '../src/conversation.ts';
import type * as Package from '../src/index.ts';
import type { follow as Follow } from '../src/streams.ts';
import { text } from './answers.ts';

/** What came of a scenario, as `scenarios.ts` names it. */
export interface Outcome {
  scenario: string;
  text: string;
  /** `whole`, `left`, or the error's name and code. */
  end: string;
}

/** In these somebody has to lose patience, with this; elsewhere a slow machine must not look like a stall. */
export const stalls: Readonly<Record<string, 'connect' | 'firstToken' | 'idle'>> = {
  'silent stall': 'idle',
  'stall with keep-alives': 'idle',
  'no headers': 'connect',
  'headers, then no token': 'firstToken',
};

/** @param ms how long a stall is borne; too little, and a busy machine has not sent the request yet */
export function deadlinesOf(scenario: string, ms = 2000): Record<'connect' | 'firstToken' | 'idle', number> {
  const deadlines = { connect: 20_000, firstToken: 20_000, idle: 20_000 };
  const stall = stalls[scenario];
  if (stall) deadlines[stall] = ms;
  return deadlines;
}

/** What ours must come to. */
export const wanted: Record<string, { end: string; text: string; tries?: number; mayRetry?: true }> = {
  comments: { end: 'whole', text },
  'torn CRLF': { end: 'whole', text },
  'torn UTF-8': { end: 'whole', text },
  'no space after the colon': { end: 'whole', text },
  'empty data: keep-alive': { end: 'whole', text },
  'last event lacks its blank line': { end: 'whole', text },
  'error mid-stream': { end: 'ServerError node_lost', text: '你好' },
  'malformed JSON chunk': { end: 'ProtocolError', text: '你好' },
  'clean EOF with no finish_reason': { end: 'TruncatedError', text },
  '[DONE] with no finish_reason': { end: 'TruncatedError', text: '你好' },
  // Bun and Chromium drop the bytes that came right before the cut; nothing was handed on then, so it is tried again.
  'socket dies mid-stream': { end: 'ConnectionError', text: '你好', mayRetry: true },
  'chunked body cut short': { end: 'ConnectionError', text: '你好', mayRetry: true },
  'kept answer, clean EOF': { end: 'whole', text, tries: 2 },
  'kept answer, socket dies': { end: 'whole', text, tries: 2 },
  'silent stall': { end: 'TimeoutError idle', text: '你好' },
  'stall with keep-alives': { end: 'TimeoutError idle', text: '你好' },
  'no headers': { end: 'TimeoutError connect', text: '', tries: 3 },
  'headers, then no token': { end: 'TimeoutError firstToken', text: '', tries: 3 },
  'permanent 503': { end: 'ServerError overloaded', text: '', tries: 3 },
  'Retry-After: 90': { end: 'RateLimitError', text: '' },
  break: { end: 'left', text: '你好' },
  // The second one ends the answer at the server.
  'kept answer, break': { end: 'left', text: '你好', tries: 2 },
  'idempotency key': { end: 'whole', text, tries: 3 },
};

const body = {
  model: 'huozi',
  messages: [{ role: 'user' as const, content: '你好' }],
  stream: true as const,
};

/**
 * @param servers the address of each scenario's server
 * @public imported by what `test/peers/runtimes.ts` bundles
 */
export async function runAll(
  { Huozi, HuoziError }: Pick<typeof Package, 'Huozi' | 'HuoziError'>,
  Conversation: typeof ConversationClass,
  follow: typeof Follow,
  servers: Record<string, string>,
): Promise<Outcome[]> {
  const clientOf = (scenario: string) => {
    const baseURL = servers[scenario]!;
    return new Huozi({ baseURL, apiKey: async () => 'k', deadlines: deadlinesOf(scenario) });
  };

  async function read(scenario: string): Promise<Outcome> {
    const outcome = { scenario, text: '', end: 'whole' };
    try {
      for await (const { choices } of await clientOf(scenario).chat.completions.create(body)) {
        outcome.text += choices[0]?.delta.content ?? '';
        if (scenario.endsWith('break')) {
          outcome.end = 'left';
          break;
        }
      }
    } catch (error) {
      outcome.end = HuoziError.isInstance(error)
        ? [error.name, error.code].filter(Boolean).join(' ')
        : `not ours: ${error}`;
    }
    return outcome;
  }

  async function more(scenario: string, use: () => Promise<string>): Promise<Outcome> {
    try {
      return { scenario, text: await use(), end: 'whole' };
    } catch (error) {
      return { scenario, text: '', end: `${error}` };
    }
  }

  return Promise.all([
    ...Object.keys(wanted).map(read),
    more('textStream', async () => {
      let said = '';
      const stream = await clientOf('comments').chat.completions.create(body);
      for await (const piece of stream.textStream) said += piece;
      return said;
    }),
    more('toReadableStream, read again', async () => {
      const stream = await clientOf('comments').chat.completions.create(body);
      const response = new Response(stream.toReadableStream(), {
        headers: { 'content-type': 'text/event-stream' },
      });
      const huozi = new Huozi({
        baseURL: 'http://none.test',
        apiKey: async () => 'k',
        fetch: async () => response,
      });
      return (await (await huozi.chat.completions.create(body)).finalMessage()).content ?? '';
    }),
    more('follow', async () => {
      const stream = await follow(clientOf('comments'), '/streams/s-1');
      return (await stream.finalMessage()).content ?? '';
    }),
    more('Conversation', async () => {
      const chat = new Conversation(clientOf('comments'), { model: 'huozi' });
      await (await chat.send('你好')).finalMessage();
      return String(chat.messages.at(-1)?.content);
    }),
    more('a used-up signal', async () => {
      const signal = AbortSignal.abort();
      return clientOf('comments')
        .chat.completions.create(body, { signal })
        .then(
          () => 'was not noticed',
          (error) => (error.name === 'AbortError' ? text : `${error}`),
        );
    }),
  ]);
}
