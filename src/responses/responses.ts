/** A response, and what can be done with it afterwards. */
import { Hono } from 'hono';
import { type App, callOf, readJson } from '../app.ts';
import type { Call } from '../call.ts';
import { type ChatRequest, parseChatRequest } from '../chat-request.ts';
import { renderChat } from '../chatml.ts';
import { complete } from '../completions.ts';
import { EdgeError } from '../errors.ts';
import { authorise } from '../keys/ask-key.ts';
import { cancel } from '../node-api.ts';
import { knownNodes } from '../nodes.ts';
import { tokenizePrompt } from '../tokenize.ts';
import { shortening } from '../truncation.ts';
import { askConversation, historyOf, keeper } from './conversations.ts';
import { parseItemsQuery, parseRetrieval } from './item-query.ts';
import { type Item, itemsOf } from './items.ts';
import { ResponseEvents } from './response-events.ts';
import { isResponseId, newResponseId } from './response-id.ts';
import { settingsOf } from './response-object.ts';
import { parseInputTokensFields, parseResponseFields, type ResponseFields } from './response-request.ts';
import { inWordsOfResponses, toChat } from './to-chat.ts';

export const responses = new Hono<App>();

responses.post('/input_tokens', async (c) => {
  const { model, fields } = parseInputTokensFields(await readJson(c));
  const call = callOf(c);
  const { request } = asChat(fields, await historyOf(call, fields.previous_response_id));
  const { count } = await tokenizePrompt(call, { model, prompt: renderChat(request.turns, request.ending) });
  return c.json({ object: 'response.input_tokens', input_tokens: count });
});
responses.get('/:id', async (c) => {
  parseRetrieval(c.req.queries());
  return json(await found(callOf(c), c.req.param('id'), read));
});
responses.delete('/:id', async (c) => {
  const id = c.req.param('id');
  await found(callOf(c), id, async (call, id) =>
    (await askConversation(call, id, (conversation) => conversation.remove(id))) ? true : undefined,
  );
  return c.json({ id, object: 'response', deleted: true });
});
responses.post('/:id/cancel', async (c) => json(await found(callOf(c), c.req.param('id'), stop)));
responses.get('/:id/input_items', async (c) => {
  const { page } = parseItemsQuery(c.req.queries());
  const items = await found(callOf(c), c.req.param('id'), (call, id) =>
    askConversation(call, id, (conversation) => conversation.input(id)),
  );
  return c.json(page(JSON.parse(items) as Item[]));
});

/** `POST /v1/responses`. */
export async function createResponse(call: Call, body: unknown): Promise<Response> {
  const fields = parseResponseFields(body);
  const { previous_response_id: previous, store } = fields;
  const { input, request } = asChat(fields, await historyOf(call, previous));
  const { role } = request;
  const id = newResponseId(previous);
  const settings = settingsOf(id, Math.floor(call.startedAt / 1000), fields);
  const kept = store ? keeper(call, settings, input) : undefined;
  const prompt = renderChat(request.turns, request.ending);
  const formatField = request.formatField === 'response_format' ? 'text.format' : request.formatField;
  return complete(call, { ...request, includeUsage: true, formatField }, prompt, {
    object: 'chat.completion',
    role,
    promptField: 'input',
    id,
    shorten: request.truncation === 'auto' ? shortening(request) : undefined,
    retell: () => new ResponseEvents(settings, role, kept),
  });
}

function asChat(fields: ResponseFields, history: Item[]): { input: Item[]; request: ChatRequest } {
  const input = itemsOf(fields.input);
  const chat = toChat(fields, history, input);
  return { input, request: inWordsOfResponses(chat, () => parseChatRequest(chat.body)) };
}

async function read(call: Call, id: string): Promise<string | undefined> {
  return askConversation(call, id, (conversation) => conversation.read(id));
}

/**
 * Whatever node makes it stops at its next step, and frees what it held; the worker that relays it then hears its end.
 * Which node that is stands nowhere, so all are told. A response that has ended already stays as it is.
 */
async function stop(call: Call, id: string): Promise<string | undefined> {
  const running = await askConversation(call, id, (conversation) => conversation.cancel(id));
  if (running) await Promise.all((await knownNodes(call)).map((node) => cancel(node, id)));
  return read(call, id);
}

/** Throws an EdgeError where the key no longer opens, or has no such response. */
async function found<T>(
  call: Call,
  id: string,
  look: (call: Call, id: string) => Promise<T | undefined>,
): Promise<T> {
  await authorise(call, 'inference');
  // Whatever stands in a URL must not make an object.
  const thing = isResponseId(id) ? await look(call, id) : undefined;
  if (thing === undefined) throw new EdgeError({ kind: 'response_not_found', id, param: 'response_id' });
  return thing;
}

function json(text: string): Response {
  return new Response(text, { headers: { 'content-type': 'application/json' } });
}
