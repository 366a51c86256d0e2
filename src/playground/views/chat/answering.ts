/**
 * Asking, stopping, and taking up again. An answer goes on when its conversation is not on the screen, and, where the
 * edge keeps streams (`resumable`), when the page is reloaded: what is kept with it says where.
 */
import { signal } from '@preact/signals';
import { AbortError, type ChatCompletionCreateParams, type ChatStream, HuoziError } from 'huozi';
import { follow } from 'huozi/streams';
import { huozi, problemOf } from '../../api.ts';
import { isRouting, recordRoutes } from '../experts/routes.ts';
import { change, chatOf } from './keep.ts';
import { parseExtra, settings } from './sampling.ts';
import { type Answer, type Chat, pathTo, type Turn, withChange, without, withTurn } from './tree.ts';
import { Writing } from './writing.ts';

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
    const { keptAt, before = '' } = turn.answer.stream ?? {};
    if (!keptAt) patch(chat.id, turn.id, { state: 'stopped' });
    else {
      const writing = new Writing(chat.id, turn.id, before, turn.text);
      void read(chat.id, turn.id, writing, (signal) => follow(huozi, keptAt, { signal, maxRetries }));
    }
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
  };
  const before = isGoingOn ? (path.at(-1)?.text ?? '') : '';
  told.value = { kind: 'answering', text: '' };
  await read(chatId, turnId, new Writing(chatId, turnId, before), async (signal) => {
    const asked = body as ChatCompletionCreateParams & { stream: true };
    const stream = await huozi.chat.completions.create(asked, { signal, maxRetries });
    if (stream.keptAt) patch(chatId, turnId, { stream: { keptAt: stream.keptAt, before } });
    return stream;
  });
}

/** Of an answer as well as of its rest: some eight seconds, as long as nothing comes. */
const maxRetries = 5;

async function read(
  chatId: string,
  turnId: string,
  writing: Writing,
  open: (signal: AbortSignal) => Promise<ChatStream>,
): Promise<void> {
  const leaving = new AbortController();
  running.set(turnId, () => leaving.abort());
  const question = questionOf(chatId, turnId);
  try {
    const stream = await open(leaving.signal);
    for await (const chunk of stream) {
      recordRoutes(turnId, question, chunk);
      const choice = chunk.choices[0];
      writing.add(choice?.delta.content ?? '', {
        requestId: stream.requestId,
        ...(choice?.finish_reason && { finish: choice.finish_reason }),
      });
    }
    const { usage } = stream;
    writing.end({
      state: 'done',
      stream: undefined,
      usage: usage && {
        prompt: usage.prompt_tokens,
        completion: usage.completion_tokens,
        cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
      },
    });
    told.value = { kind: 'answered', text: writing.text };
  } catch (error) {
    writing.end(endOf(error, writing.isTakenUp));
  } finally {
    running.delete(turnId);
  }
}

function questionOf(chatId: string, turnId: string): string {
  const turns = chatOf(chatId)?.turns ?? [];
  const parent = turns.find(({ id }) => id === turnId)?.parent;
  return turns.find(({ id }) => id === parent)?.text ?? '';
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

function patch(chatId: string, turnId: string, changed: Partial<Answer>, keepNow = true): void {
  change(
    chatId,
    (chat) => withChange(chat, turnId, (turn) => ({ ...turn, answer: { ...turn.answer!, ...changed } })),
    keepNow,
  );
}
