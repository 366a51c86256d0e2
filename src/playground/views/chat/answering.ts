/**
 * Asking, stopping, and taking up again. An answer goes on when its conversation is not on the screen, and, where the
 * edge keeps streams (`resumable`), when the page is reloaded: what is kept with it says where, and from which event.
 */
import { signal } from '@preact/signals';
import {
  AbortError,
  type ChatCompletionCreateParams,
  type ChatStream,
  ConnectionError,
  Huozi,
  HuoziError,
  ServerError,
  TimeoutError,
  TruncatedError,
} from 'huozi';
import { problemOf } from '../../api.ts';
import { key } from '../../secrets.ts';
import { isRouting, recordRoutes } from '../experts/routes.ts';
import { change, chatOf } from './keep.ts';
import { parseExtra, settings } from './sampling.ts';
import { type Answer, type Chat, pathTo, type Turn, withChange, without, withTurn } from './tree.ts';
import { Writing } from './writing.ts';

/** Each event is seen, so that they can be counted. */
const stream_options = { include_usage: true };

/** The answers under way, by turn; how to stop each. */
const running = new Map<string, () => void>();

/** What a screen reader is told: the beginning and the end, not each token. */
export const told = signal<{ kind: 'answering' | 'answered' | 'stopped' | 'failed'; text: string }>();

export const isRunning = ({ answer }: Turn): boolean => answer?.state === 'running';

/** Says something in a conversation, after a turn (null: at its beginning), and asks for the answer. */
export function say(chatId: string, parent: string | null, text: string, model: string): void {
  const question: Turn = { id: crypto.randomUUID(), parent, role: 'user', text };
  change(chatId, (chat) => withTurn(chat, question, Date.now()));
  ask(chatId, question.id, model);
}

/** Asks for one more answer to a question. */
export function ask(chatId: string, question: string, model: string): void {
  const answer: Answer = { state: 'running', model, askedAt: Date.now() };
  const turn: Turn = { id: crypto.randomUUID(), parent: question, role: 'assistant', text: '', answer };
  change(chatId, (chat) => withTurn(chat, turn, Date.now()));
  void generate(chatId, turn.id, model, false);
}

/** Asks again in the place of an answer that failed, which is let go if it said nothing. */
export function retry(chatId: string, turn: Turn, model: string): void {
  if (turn.text === '') change(chatId, (chat) => without(chat, turn.id));
  ask(chatId, turn.parent!, model);
}

/** Goes on with an answer that was stopped or cut, after its last word. */
export function goOn(chatId: string, turn: Turn, model: string): void {
  patch(chatId, turn.id, { state: 'running', problem: undefined, finish: undefined, askedAt: Date.now() });
  void generate(chatId, turn.id, model, true);
}

export function stop(turnId: string): void {
  running.get(turnId)?.();
}

/** Takes up what was under way when the page was left. */
export function takeUp(chat: Chat): void {
  for (const turn of chat.turns) {
    if (turn.answer?.state !== 'running' || running.has(turn.id)) continue;
    if (turn.answer.stream) void resume(chat.id, turn, turn.answer.stream);
    else patch(chat.id, turn.id, { state: 'stopped' });
  }
}

async function generate(chatId: string, turnId: string, model: string, isGoingOn: boolean): Promise<void> {
  const chat = chatOf(chatId)!;
  const path = pathTo(chat, turnId);
  const said = isGoingOn ? path : path.slice(0, -1);
  const body = {
    ...settings.value.sampling,
    ...parseExtra(settings.value.extra),
    model,
    messages: [
      ...(chat.system ? [{ role: 'system' as const, content: chat.system }] : []),
      ...said.map(({ role, text }) => ({ role, content: text })),
    ],
    ...(isGoingOn && { continue_final_message: true, add_generation_prompt: false }),
    truncation: 'auto',
    resumable: true,
    ...(isRouting.value && { return_routed_experts: true }),
    stream: true as const,
    stream_options,
  };
  const before = isGoingOn ? (path.at(-1)?.text ?? '') : '';
  await follow(chatId, turnId, { before, event: 0 }, (client, options) =>
    client.chat.completions.create(body as ChatCompletionCreateParams & { stream: true }, options),
  );
}

/** From the event after the last one that is in the text. */
async function resume(
  chatId: string,
  turn: Turn,
  { path, event }: { path: string; event: number },
): Promise<void> {
  await follow(chatId, turn.id, { before: turn.text, event, path }, takenUp);
}

/** What is asked does not matter: the client of an answer that is taken up asks for its stream. */
const takenUp: Opening = (client, options) =>
  client.chat.completions.create({ model: '', messages: [], stream: true, stream_options }, options);

interface Beginning {
  /** What stands there already. */
  before: string;
  /** The last event that is in it. */
  event: number;
  /** The stream to take up. */
  path?: string;
}

type Opening = (client: Huozi, options: { signal: AbortSignal }) => Promise<ChatStream>;

/** Tries to take up a stream before its answer counts as failed; half a second before the first, twice as long each. */
const tries = 6;

async function follow(chatId: string, turnId: string, from: Beginning, first: Opening): Promise<void> {
  const leaving = new AbortController();
  let { path, event } = from;
  let isTakenUp = path !== undefined;
  running.set(turnId, () => {
    leaving.abort(new AbortError('stopped'));
    // Leaving is no stop where the edge keeps the stream.
    if (path) void fetch(path, { method: 'DELETE', headers: authorization() }).catch(() => undefined);
  });
  const client = new Huozi({
    baseURL: '/v1',
    apiKey: () => key.value.value,
    fetch: async (input, init) => {
      if (isTakenUp && path) {
        const headers = { ...authorization(), 'last-event-id': String(event) };
        return fetch(path, { headers, signal: init?.signal ?? null });
      }
      const response = await fetch(input, init);
      path ??= response.headers.get('x-huozi-stream') ?? undefined;
      return response;
    },
  });
  const writing = new Writing(chatId, turnId, from.before, !isTakenUp);
  if (!isTakenUp) told.value = { kind: 'answering', text: '' };

  async function read(open: Opening): Promise<void> {
    const question = questionOf(chatId, turnId);
    const stream = await open(client, { signal: leaving.signal });
    for await (const chunk of stream) {
      event++;
      recordRoutes(turnId, question, chunk);
      const choice = chunk.choices[0];
      writing.add(choice?.delta.content ?? '', {
        requestId: stream.requestId,
        ...(path && { stream: { path, event } }),
        ...(choice?.finish_reason && { finish: choice.finish_reason }),
        ...(chunk.usage && {
          usage: {
            prompt: chunk.usage.prompt_tokens,
            completion: chunk.usage.completion_tokens,
            cached: chunk.usage.prompt_tokens_details?.cached_tokens ?? 0,
          },
        }),
      });
    }
  }

  let open = first;
  let left = tries;
  try {
    for (;;) {
      const reached = event;
      try {
        await read(open);
        writing.end({ state: 'done', stream: undefined });
        told.value = { kind: 'answered', text: writing.text };
        return;
      } catch (error) {
        left = event > reached ? tries : left - 1;
        if (!path || !isLost(error) || left < 0) throw error;
        // A page that is being reloaded loses its connections first, and ends in this wait.
        await pause(500 * 2 ** (tries - left), leaving.signal);
        isTakenUp = true;
        open = takenUp;
      }
    }
  } catch (error) {
    writing.end(endOf(error, from.path !== undefined));
  } finally {
    running.delete(turnId);
  }
}

function questionOf(chatId: string, turnId: string): string {
  const turns = chatOf(chatId)?.turns ?? [];
  const parent = turns.find(({ id }) => id === turnId)?.parent;
  return turns.find(({ id }) => id === parent)?.text ?? '';
}

/** Whether the edge may still have the rest. */
function isLost(error: unknown): boolean {
  return (
    ConnectionError.isInstance(error) ||
    TruncatedError.isInstance(error) ||
    TimeoutError.isInstance(error) ||
    (ServerError.isInstance(error) && error.code === 'stream_interrupted')
  );
}

/** How an answer ends that is not whole. @param wasLeft its stream was taken up after the page was left */
function endOf(error: unknown, wasLeft: boolean): Partial<Answer> {
  const { status, code, requestId } = HuoziError.isInstance(error) ? error : {};
  // The edge has let go of a stream whose time was over; one that was stopped elsewhere says so.
  const isGone = wasLeft && (status === 404 || status === 400);
  if (AbortError.isInstance(error) || isGone || code === 'generation_cancelled') {
    told.value = { kind: 'stopped', text: '' };
    return { state: 'stopped', stream: undefined };
  }
  const problem = problemOf(error);
  told.value = { kind: 'failed', text: problem.message };
  return { state: 'failed', problem, stream: undefined, ...(requestId && { requestId }) };
}

/** Rejects with the signal's reason. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

const authorization = () => ({ authorization: `Bearer ${key.value.value}` });

function patch(chatId: string, turnId: string, changed: Partial<Answer>, keepNow = true): void {
  change(
    chatId,
    (chat) => withChange(chat, turnId, (turn) => ({ ...turn, answer: { ...turn.answer!, ...changed } })),
    keepNow,
  );
}
