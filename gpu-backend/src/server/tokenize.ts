import type { Context } from 'hono';
import type { TokenizeResponse } from '../protocol.ts';
import type { NodeEnv, NodeState } from './app.ts';
import { readJson } from './read-body.ts';
import { parseTokenizeRequest } from './validate.ts';

/** `POST /v1/tokenize`: a prompt's tokens, the same that a generation would begin with. */
export function tokenize(state: NodeState) {
  return async function tokenize(c: Context<NodeEnv>): Promise<Response> {
    const { prompt } = parseTokenizeRequest(await readJson(c.env.incoming));
    const tokens = [...(await state.requireEngine().tokenize(prompt))];
    return c.json({ tokens, count: tokens.length } satisfies TokenizeResponse);
  };
}
