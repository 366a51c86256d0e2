/** A response, and what can be done with it afterwards. */
import { type Context, Hono } from 'hono';
import { type App, callOf, readJson } from '../app.ts';
import type { Call } from '../call.ts';
import { type ChatRequest, parseChatRequest } from '../chat-request.ts';
import { renderChat } from '../chatml.ts';
import { complete } from '../completions.ts';
import { EdgeError, refuse } from '../errors.ts';
import { authorise } from '../keys/ask-key.ts';
import { cancel } from '../node-api.ts';
import { knownNodes } from '../nodes.ts';
import { askAnswer, followAnswer } from '../streams/ask-answer.ts';
import { tokenizePrompt } from '../tokenize.ts';
import { shortening } from '../truncation.ts';
import type { Place } from './conversation-api.ts';
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
  const { stream, after } = parseRetrieval(c.req.queries());
  const id = c.req.param('id');
  if (!stream) return json(await found(callOf(c), id, read));
  const { answer } = await found(callOf(c), id, place);
  if (answer === null)
    refuse('stream', 'only a response that was begun in the background is streamed again.');
  const rest = await followAnswer(c, { id: answer, after, afterParam: 'starting_after' });
  if (rest.status === 404) throw new EdgeError({ kind: 'stream_not_found', id });
  // Nothing follows, which OpenAI's clients take for a failure where there is no body at all.
  return rest.status === 204 ? new Response('', { headers: { 'content-type': 'text/event-stream' } }) : rest;
});
responses.delete('/:id', async (c) => {
  const id = c.req.param('id');
  const { answer } = await found(callOf(c), id, (call, id) =>
    askConversation(call, id, (conversation) => conversation.remove(id)),
  );
  if (answer !== null) await askAnswer(c, answer, (answer) => answer.erase());
  return c.json({ id, object: 'response', deleted: true });
});
responses.post('/:id/cancel', async (c) =>
  json(await found(callOf(c), c.req.param('id'), (call, id) => stop(c, call, id))),
);
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
  const { previous_response_id: previous, store, background } = fields;
  const { input, request } = asChat(fields, await historyOf(call, previous));
  const { role } = request;
  const id = call.kept?.answerId ?? newResponseId(previous);
  const settings = settingsOf(id, Math.floor(call.startedAt / 1000), fields);
  const kept = store ? keeper(call, settings, input) : undefined;
  const prompt = renderChat(request.turns, request.ending);
  const formatField = request.formatField === 'response_format' ? 'text.format' : request.formatField;
  const generation = { ...request, stream: request.stream || background, includeUsage: true, formatField };
  const response = await complete(call, generation, prompt, {
    object: 'chat.completion',
    role,
    promptField: 'input',
    id,
    shorten: request.truncation === 'auto' ? shortening(request) : undefined,
    retell: () => new ResponseEvents(settings, role, kept),
  });
  // Its id is all that some get of it, and must lead somewhere.
  if (background) await kept!.begin();
  return response;
}

function asChat(fields: ResponseFields, history: Item[]): { input: Item[]; request: ChatRequest } {
  const input = itemsOf(fields.input);
  const chat = toChat(fields, history, input);
  return { input, request: inWordsOfResponses(chat, () => parseChatRequest(chat.body)) };
}

async function read(call: Call, id: string): Promise<string | undefined> {
  return askConversation(call, id, (conversation) => conversation.read(id));
}

async function place(call: Call, id: string): Promise<Place | undefined> {
  return askConversation(call, id, (conversation) => conversation.place(id));
}

/**
 * Whatever node makes it stops at its next step, and frees what it held; the worker that relays it then hears its end.
 * Which node that is stands nowhere, so all are told; one in the background stops it itself. A response that has ended
 * already stays as it is.
 */
async function stop(c: Context<App>, call: Call, id: string): Promise<string | undefined> {
  const running = await askConversation(call, id, (conversation) => conversation.cancel(id));
  if (running && running.answer !== null) await askAnswer(c, running.answer, (answer) => answer.stop());
  else if (running) await Promise.all((await knownNodes(call)).map((node) => cancel(node, id)));
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
