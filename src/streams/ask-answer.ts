/** From the worker to an answer's object, which the key's id and the answer's name lead to. */
import type { Context } from 'hono';
import { type App, callOf } from '../app.ts';
import { EdgeError } from '../errors.ts';
import type { AnswerObject, Asked, Followed } from './stream-api.ts';

/** Asks once more where that failed, as `askKey` does: asking twice asks once. */
export async function askAnswer<T>(
  c: Context<App>,
  id: string,
  question: (answer: AnswerObject) => Promise<T>,
): Promise<T> {
  const ask = () => question(c.env.ANSWERS.getByName(`${c.get('keyId')}:${id}`));
  return ask().catch(() =>
    ask().catch((error) => {
      const kind = c.get('client').aborted ? 'client_gone' : 'streams_unavailable';
      throw new EdgeError({ kind }, (error as Error).name);
    }),
  );
}

/** Begins an answer, or joins it. */
export function beginAnswer(
  c: Context<App>,
  body: ArrayBuffer,
  what: Omit<Asked, keyof ReturnType<typeof whoAsks>>,
): Promise<Response> {
  return read(c, { method: 'POST', body, signal: c.get('client') }, { ...what, ...whoAsks(c) });
}

export function followAnswer(c: Context<App>, from: Followed): Promise<Response> {
  return read(c, { method: 'GET' }, { ...from, ...whoAsks(c) });
}

async function read(c: Context<App>, init: RequestInit, asked: Followed): Promise<Response> {
  const headers = { 'x-asked': JSON.stringify(asked) };
  const question = askAnswer(c, asked.id, (answer) => answer.fetch('https://answer/', { ...init, headers }));
  const response = await c.get('timing').measure('node', question);
  // Headers are added to it.
  return new Response(response.body, response);
}

function whoAsks(c: Context<App>) {
  const { requestId, keyId, keyHash, trace, startedAt } = callOf(c);
  return { requestId, keyId, keyHash, trace, startedAt };
}
