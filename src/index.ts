/**
 * The edge: request → key → ChatML → route → relay → meter, on one screen.
 * Each step is a file that imports only what comes after it, or types and errors.
 */
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { requestId } from 'hono/request-id';
import { type App, answerError, callOf, readJson } from './app.ts';
import { parseChatRequest } from './chat-request.ts';
import { renderChat, renderText } from './chatml.ts';
import { parseCompletionRequest } from './completion-request.ts';
import { complete } from './completions.ts';
import { errorResponse } from './errors.ts';
import { getModel, listModels } from './models.ts';
import { requireKey } from './require-key.ts';

const maxBodyBytes = 1024 * 1024;
const app = new Hono<App>();

app.use(requestId({ limitLength: 64 }));
app.use(
  methodNotAllowed({
    app,
    onMethodNotAllowed: ({ req: { method } }, methods) =>
      errorResponse({ kind: 'method_not_allowed', method, allow: methods.join(', ') }),
  }),
);
app.use(async function frame(c, next) {
  c.set('client', c.req.raw.signal);
  await next();
  c.res.headers.set('x-request-id', c.get('requestId'));
});

app.get('/healthz', (c) => c.json({ status: 'ok' }));

app.use('/v1/*', requireKey());
app.use(
  '/v1/*',
  bodyLimit({
    maxSize: maxBodyBytes,
    onError: () => errorResponse({ kind: 'body_too_large', limit: maxBodyBytes }),
  }),
);

app.get('/v1/models', async (c) => c.json(await listModels(callOf(c))));
app.get('/v1/models/:id{.+}', async (c) => c.json(await getModel(callOf(c), c.req.param('id'))));

app.post('/v1/chat/completions', async (c) => {
  const request = parseChatRequest(await readJson(c));
  const shape = { object: 'chat.completion', role: request.role } as const;
  return complete(callOf(c), request, renderChat(request.turns), shape);
});
app.post('/v1/completions', async (c) => {
  const request = parseCompletionRequest(await readJson(c));
  const shape = { object: 'text_completion', role: 'assistant' } as const;
  return complete(callOf(c), request, renderText(request.prompt), shape);
});

app.notFound(({ req }) =>
  errorResponse({ kind: 'unknown_url', method: req.method, path: req.path.slice(0, 128) }),
);
app.onError(answerError);

export default app;
