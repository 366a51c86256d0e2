/** `/v1/responses` of an edge, as its tests ask it. */
import type { ResponseObject } from '../../src/responses/response-object.ts';
import type { Edge } from './edge.ts';

export const path = '/v1/responses';
export const body = (fields: object = {}) => ({ model: 'huozi', input: '你好', ...fields });

/** By the key that the edge began with, or by another one's. */
export function responsesOf(edge: Edge) {
  const post = (fields?: object) => edge.post(body(fields), { path });
  const send = (method: string, rest: string, apiKey = edge.apiKey) =>
    fetch(`${edge.url}${path}/${rest}`, { method, headers: { authorization: `Bearer ${apiKey}` } });
  return {
    post,
    send,
    make: async (fields?: object) => (await (await post(fields)).json()) as ResponseObject,
    read: async (id: string, apiKey?: string) =>
      (await (await send('GET', id, apiKey)).json()) as ResponseObject,
  };
}

export function textOf({ output }: ResponseObject): string {
  return output.map((item) => (item.type === 'message' ? item.content[0]!.text : '')).join('');
}
