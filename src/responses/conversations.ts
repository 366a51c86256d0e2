/** From the worker to a conversation's object. */
import type { Call } from '../call.ts';
import { EdgeError, refuse } from '../errors.ts';
import { authorise } from '../keys/ask-key.ts';
import type { Remote } from '../keys/key-api.ts';
import { log } from '../log.ts';
import { type ConversationApi, longestKept, type NewResponse } from './conversation-api.ts';
import type { Item } from './items.ts';
import type { Keeper } from './response-events.ts';
import { conversationOf } from './response-id.ts';
import { begun, responseObject, type Settings, type Standing } from './response-object.ts';

const encoder = new TextEncoder();

/**
 * Asks once more where that failed, as `askKey` does.
 * @param id of a response
 */
export async function askConversation<T>(
  { env, keyId }: Call,
  id: string,
  question: (conversation: Remote<ConversationApi>) => Promise<T>,
): Promise<T> {
  const object = () => env.CONVERSATIONS.getByName(`${keyId}/${conversationOf(id)}`);
  try {
    return await question(object());
  } catch {
    try {
      return await question(object());
    } catch (error) {
      throw new EdgeError({ kind: 'responses_unavailable' }, (error as Error).name);
    }
  }
}

/** All that was said up to and with the response `previous`. */
export async function historyOf(call: Call, previous: string | undefined): Promise<Item[]> {
  if (previous === undefined) return [];
  const history = await askConversation(call, previous, (conversation) => conversation.history(previous));
  if ('items' in history) return history.items.flatMap((items) => JSON.parse(items) as Item[]);
  // What is kept for a key is for those alone whom it still opens for.
  await authorise(call, 'inference');
  const param = 'previous_response_id';
  switch (history.refusal) {
    case 'not_found':
      throw new EdgeError({ kind: 'response_not_found', id: previous, param });
    case 'ancestor_deleted':
      return refuse(param, 'a response before it was deleted, so what was said is no longer known.');
    case 'unfinished':
      return refuse(param, 'this response has not ended yet.');
    case 'full':
      return refuse(
        param,
        'this conversation holds as much as one may; begin a new one with its last items as input.',
      );
    default:
      return history.refusal satisfies never;
  }
}

/**
 * Throws an EdgeError when the request is too large to be kept.
 * @param input undefined where the beginning is kept
 */
export function keeper(call: Call, settings: Settings, input?: readonly Item[]): Keeper {
  const { id } = settings;
  const entry = input && newEntry(call, settings, input);
  let stored = entry ? undefined : Promise.resolve(true);
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      log('response_not_stored', { request_id: call.requestId, id, problem: (error as Error).name });
      return undefined;
    }
  };
  return {
    begin() {
      stored ??= attempt(async () => {
        await askConversation(call, id, (conversation) => conversation.begin(entry!));
        return true;
      }).then(Boolean);
      call.waitUntil(stored);
      return stored;
    },
    async end(standing) {
      if (!(await stored)) return standing.status;
      const ended = await attempt(() => {
        const { json, output } = asKept(settings, standing);
        if (tooLong(output)) throw new RangeError('the answer is too long to be stored');
        return askConversation(call, id, (conversation) =>
          conversation.end(id, { status: standing.status, json, output }),
        );
      });
      return ended ?? standing.status;
    },
  };
}

function newEntry(call: Call, settings: Settings, input: readonly Item[]): NewResponse {
  const { id, previous_response_id: previous, background } = settings;
  const answer = background ? call.kept!.name! : null;
  const json = JSON.stringify(responseObject(settings, begun));
  const items = JSON.stringify(input);
  if (tooLong(json) || tooLong(items)) {
    refuse('store', `the request is too large to be stored (${longestKept} bytes); false asks for that.`);
  }
  return { id, previous, answer, json, input: items };
}

/** Without log-probabilities, of which one answer may have megabytes. */
function asKept(settings: Settings, standing: Standing): { json: string; output: string } {
  const output = standing.output.map((item) =>
    item.type === 'message'
      ? {
          ...item,
          content: item.content.map((part) => ({ ...part, ...('logprobs' in part && { logprobs: [] }) })),
        }
      : item,
  );
  return {
    json: JSON.stringify(responseObject(settings, { ...standing, output: [] })),
    output: JSON.stringify(output),
  };
}

function tooLong(text: string): boolean {
  return text.length * 3 > longestKept && encoder.encode(text).length > longestKept;
}
