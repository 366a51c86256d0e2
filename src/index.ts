/**
 * The edge: request → key → ChatML → limits → route → relay → meter, on one screen.
 * Each step is a file that imports only what comes after it, or types and errors.
 */
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { admin } from './admin/admin.ts';
import { requireAdmin } from './admin/require-admin.ts';
import { answering } from './answering.ts';
import { type App, answerError, callOf, readJson } from './app.ts';
import { errorResponse } from './errors.ts';
import { readExperts } from './experts/experts.ts';
import { hearBeat } from './fleet/beat.ts';
import { frame } from './frame.ts';
import { authorise } from './keys/ask-key.ts';
import { getModel, listModels } from './models.ts';
import { openapi } from './openapi/openapi.ts';
import { playground } from './playground.ts';
import { requireKey } from './require-key.ts';
import { responses } from './responses/responses.ts';
import type { AnsweredPath } from './streams/stream-api.ts';
import { answer, follow, stop } from './streams/streams.ts';
import { tokenizePrompt } from './tokenize.ts';
import { parseTokenizeRequest } from './tokenize-request.ts';
import { ownUsage } from './usage/own-usage.ts';
import { allowOrigins } from './web-safety.ts';

export { FleetObject } from './fleet/fleet-object.ts';
export { KeyDirectory } from './keys/key-directory.ts';
export { KeyObject } from './keys/key-object.ts';
export { ConversationObject } from './responses/conversation-object.ts';
export { AnswerObject } from './streams/answer-object.ts';

const maxBodyBytes = 1024 * 1024;
const app = new Hono<App>();

app.use(frame());
// The admin API is for no browser.
app.use('/v1/*', allowOrigins());
app.use(
  methodNotAllowed({
    app,
    onMethodNotAllowed: ({ req: { method } }, methods) =>
      errorResponse({ kind: 'method_not_allowed', method, allow: methods.join(', ') }),
  }),
);

app.get('/healthz', (c) => c.json({ status: 'ok' }));
app.route('/', openapi);
app.route('/', playground);

const limitBody = bodyLimit({
  maxSize: maxBodyBytes,
  onError: () => errorResponse({ kind: 'body_too_large', limit: maxBodyBytes }),
});
app.use('/admin/*', requireAdmin(), limitBody);
app.route('/admin', admin);
app.post('/fleet/beat', limitBody, hearBeat);
app.use('/v1/*', requireKey(), limitBody);

app.get('/v1/models', async (c) => {
  const call = callOf(c);
  const { models } = await authorise(call, 'models');
  return c.json(await listModels(call, models));
});
app.get('/v1/models/:id{.+}', async (c) => {
  const call = callOf(c);
  const id = c.req.param('id');
  await authorise(call, 'models', id);
  return c.json(await getModel(call, id));
});
app.get('/v1/usage', async (c) => c.json(await ownUsage(callOf(c), c.req.query())));
app.get('/v1/experts', async (c) => c.json(await readExperts(callOf(c), c.req.query())));

for (const path of Object.keys(answering) as AnsweredPath[]) {
  app.post(path, (c) => answer(c, path));
}
app.get('/v1/streams/:id', follow);
app.delete('/v1/streams/:id', stop);

app.route('/v1/responses', responses);
app.post('/v1/tokenize', async (c) => {
  const request = parseTokenizeRequest(await readJson(c));
  return c.json(await tokenizePrompt(callOf(c), request));
});

app.notFound(({ req }) =>
  errorResponse({ kind: 'unknown_url', method: req.method, path: req.path.slice(0, 128) }),
);
app.onError(answerError);

export default app;
