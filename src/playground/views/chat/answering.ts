/**
 * Asking, stopping, and taking up again. An answer goes on when its conversation is not on the screen, and, where the
 * edge keeps streams (`resumable`), when the page is reloaded: what is kept with it says where, and from which event.
 */
import { signal } from '@preact/signals';
import { AbortError, type ChatCompletionCreateParams, type ChatStream, Huozi, HuoziError } from 'huozi';
import { problemOf } from '../../api.ts';
import { key } from '../../secrets.ts';
import { isRouting, recordRoutes } from '../experts/routes.ts';
import { change, chatOf } from './keep.ts';
import { parseExtra, settings } from './sampling.ts';
import { type Answer, type Chat, pathTo, type Turn, withChange, without, withTurn } from './tree.ts';

/** Whether the edge knows `resumable`. */
const keepsStreams: boolean = false;

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
    ...(keepsStreams && { resumable: true }),
    ...(isRouting.value && { return_routed_experts: true }),
    stream: true as const,
    stream_options: { include_usage: true },
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
  await follow(chatId, turn.id, { before: turn.text, event, path }, (client, options) =>
    client.chat.completions.create({ model: '', messages: [], stream: true }, options),
  );
}

interface Beginning {
  /** What stands there already. */
  before: string;
  /** The last event that is in it. */
  event: number;
  /** The stream to take up. */
  path?: string;
}

type Opening = (client: Huozi, options: { signal: AbortSignal }) => Promise<ChatStream>;

async function follow(chatId: string, turnId: string, from: Beginning, open: Opening): Promise<void> {
  const leaving = new AbortController();
  let path = from.path;
  running.set(turnId, () => {
    leaving.abort();
    // Leaving is no stop where the edge keeps the stream.
    if (path) void fetch(path, { method: 'DELETE', headers: authorization() }).catch(() => undefined);
  });
  const client = new Huozi({
    baseURL: '/v1',
    apiKey: () => key.value.value,
    fetch: async (input, init) => {
      const response = await (from.path
        ? fetch(from.path, {
            headers: { ...authorization(), 'last-event-id': String(from.event) },
            signal: init?.signal ?? null,
          })
        : fetch(input, init));
      path ??= response.headers.get('x-huozi-stream') ?? undefined;
      return response;
    },
  });
  const writing = new Writing(chatId, turnId, from.before);
  if (!from.path) told.value = { kind: 'answering', text: '' };
  let stream: ChatStream | undefined;
  try {
    stream = await open(client, { signal: leaving.signal });
    let event = from.event;
    const requestId = stream.requestId;
    for await (const chunk of stream) {
      event++;
      recordRoutes(turnId, questionOf(chatId, turnId), chunk);
      const choice = chunk.choices[0];
      writing.add(choice?.delta.content ?? '', {
        requestId,
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
    writing.end({ state: 'done', stream: undefined });
    told.value = { kind: 'answered', text: writing.text };
  } catch (error) {
    if (AbortError.isInstance(error)) {
      writing.end({ state: 'stopped', stream: undefined });
      told.value = { kind: 'stopped', text: '' };
    } else if (from.path && isGone(error)) {
      writing.end({ state: 'stopped', stream: undefined });
    } else {
      const problem = problemOf(error);
      const requestId = HuoziError.isInstance(error) ? error.requestId : undefined;
      writing.end({ state: 'failed', problem, stream: undefined, ...(requestId && { requestId }) });
      told.value = { kind: 'failed', text: problem.message };
    }
  } finally {
    running.delete(turnId);
  }
}

function questionOf(chatId: string, turnId: string): string {
  const turns = chatOf(chatId)?.turns ?? [];
  const parent = turns.find(({ id }) => id === turnId)?.parent;
  return turns.find(({ id }) => id === parent)?.text ?? '';
}

const authorization = () => ({ authorization: `Bearer ${key.value.value}` });

const isGone = (error: unknown) =>
  HuoziError.isInstance(error) && (error.status === 404 || error.status === 400);

function patch(chatId: string, turnId: string, changed: Partial<Answer>, keepNow = true): void {
  change(
    chatId,
    (chat) => withChange(chat, turnId, (turn) => ({ ...turn, answer: { ...turn.answer!, ...changed } })),
    keepNow,
  );
}

/** Brings what comes to the screen once a frame, and into the browser's storage now and then. */
class Writing {
  text: string;
  #chatId: string;
  #turnId: string;
  #facts: Partial<Answer> = {};
  #askedAt = performance.now();
  #firstAt: number | undefined;
  #isWaiting = false;
  #keptAt = performance.now();
  #isEnded = false;

  constructor(chatId: string, turnId: string, before: string) {
    this.#chatId = chatId;
    this.#turnId = turnId;
    this.text = before;
  }

  add(text: string, facts: Partial<Answer>): void {
    Object.assign(this.#facts, facts);
    if (text) {
      const now = performance.now();
      if (this.#firstAt === undefined) {
        this.#firstAt = now;
        this.#facts.ttft = now - this.#askedAt;
      }
      this.#facts.duration = now - this.#firstAt;
      this.text += text;
    }
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    // A tab that is not shown has no frames; its answers come all the same.
    if (document.visibilityState === 'hidden') setTimeout(() => this.#write(false), 250);
    else requestAnimationFrame(() => this.#write(false));
  }

  end(facts: Partial<Answer>): void {
    Object.assign(this.#facts, facts);
    this.#write(true);
    this.#isEnded = true;
  }

  #write(keepNow: boolean): void {
    this.#isWaiting = false;
    if (this.#isEnded) return;
    const isTime = performance.now() - this.#keptAt > 1_000;
    if (isTime) this.#keptAt = performance.now();
    const { text } = this;
    const facts = { ...this.#facts };
    change(
      this.#chatId,
      (chat) =>
        withChange(chat, this.#turnId, (turn) => ({ ...turn, text, answer: { ...turn.answer!, ...facts } })),
      keepNow || isTime,
    );
  }
}
