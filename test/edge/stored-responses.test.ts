/** What `/v1/responses` keeps, for whom and how long, on real workerd. */
import { mkdtemp, rm } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ResponseObject } from '../../src/responses/response-object.ts';
import { edgeBeforeNode, errorOf, startEdge, until } from './edge.ts';
import { body, path, responsesOf, textOf } from './responses.ts';
import { answer } from './scripted-node.ts';

const { node, edge } = edgeBeforeNode();
beforeEach(() => {
  node.script = answer('你好！');
});

const { post, send, make, read } = responsesOf(edge);

describe('what is stored', () => {
  it('is forgotten when it is deleted, also for what went on from it', async () => {
    const first = await make();
    const { id } = await make({ previous_response_id: first.id });
    expect(await (await send('DELETE', first.id)).json()).toEqual({
      id: first.id,
      object: 'response',
      deleted: true,
    });
    for (const [method, rest] of [
      ['GET', first.id],
      ['GET', `${first.id}/input_items`],
      ['DELETE', first.id],
      ['POST', `${first.id}/cancel`],
    ] as const) {
      expect(await errorOf(await send(method, rest))).toMatchObject({
        status: 404,
        code: 'response_not_found',
      });
    }
    expect((await read(id)).status).toBe('completed');
    const error = await errorOf(await post({ previous_response_id: id }));
    expect(error).toMatchObject({ status: 400, param: 'previous_response_id' });
    const gone = await errorOf(await post({ previous_response_id: first.id }));
    expect(gone).toMatchObject({ status: 404, code: 'previous_response_not_found' });
  });

  it('is forgotten in time', async () => {
    // Days: a second and a half.
    const short = await startEdge([node], [node.url], { bindings: { RESPONSE_DAYS: '0.0000174' } });
    try {
      const { make, send } = responsesOf(short);
      const { id } = await make();
      expect((await send('GET', id)).status).toBe(200);
      await until(async () => (await send('GET', id)).status === 404);
    } finally {
      await short.stop();
    }
  });

  it('survives the worker', async () => {
    const stateDirectory = await mkdtemp('/tmp/huozi-responses-');
    const before = await startEdge([node], [node.url], { stateDirectory });
    const { id } = await responsesOf(before).make();
    await before.stop();
    const after = await startEdge([node], [node.url], { stateDirectory });
    expect(textOf(await responsesOf(after).read(id, before.apiKey))).toBe('你好！');
    await after.stop();
    await rm(stateDirectory, { recursive: true });
  });

  it('must fit: a request whose items take too much is refused, unless it is not to be stored', async () => {
    const input = Array.from({ length: 8_000 }, () => ({ role: 'user', content: '字'.repeat(30) }));
    expect(await errorOf(await post({ input }))).toMatchObject({ status: 400, param: 'store' });
    expect((await post({ input, store: false })).status).toBe(200);
  });

  it('is nothing with store: false', async () => {
    const { id, store } = await make({ store: false });
    expect(store).toBe(false);
    expect((await send('GET', id)).status).toBe(404);
    expect((await post({ previous_response_id: id })).status).toBe(404);
  });

  it('shows its input in pages', async () => {
    const input = ['a', 'b', 'c'].map((content) => ({ role: 'user', content }));
    const { id } = await make({ input });
    interface Page {
      data: { id: string; content: { text: string }[] }[];
      has_more: boolean;
      last_id: string;
    }
    const page = async (query: string) =>
      (await (await send('GET', `${id}/input_items?${query}`)).json()) as Page;
    const texts = ({ data }: Page) => data.map((item) => item.content[0]!.text).join('');
    expect(texts(await page(''))).toBe('cba');
    const first = await page('order=asc&limit=2');
    expect([texts(first), first.has_more]).toEqual(['ab', true]);
    const rest = await page(`order=asc&limit=2&after=${first.last_id}`);
    expect([texts(rest), rest.has_more]).toEqual(['c', false]);
    for (const [query, param] of [
      ['limit=0', 'limit'],
      ['order=up', 'order'],
      ['after=x', 'after'],
      ['include[]=message.output_text.logprobs', 'include'],
      ['x=1', 'x'],
    ]) {
      expect(await errorOf(await send('GET', `${id}/input_items?${query}`))).toMatchObject({
        status: 400,
        param,
      });
    }
  });
});

describe('nobody else reads it', () => {
  it('a response id that is none makes no object', async () => {
    for (const id of ['resp_1', 'x', `resp_${'0'.repeat(47)}g`, 'chatcmpl-1']) {
      expect(await errorOf(await send('GET', id))).toMatchObject({ status: 404, param: 'response_id' });
    }
    expect(await errorOf(await send('GET', `resp_${'0'.repeat(48)}`))).toMatchObject({ status: 404 });
  });

  it('another key', async () => {
    const { id } = await make();
    const { key } = await edge.newKey();
    for (const [method, rest] of [
      ['GET', id],
      ['GET', `${id}/input_items`],
      ['DELETE', id],
      ['POST', `${id}/cancel`],
    ] as const) {
      expect(await errorOf(await send(method, rest, key))).toMatchObject({ status: 404 });
    }
    expect((await read(id)).status).toBe('completed');
  });

  it('a key that was revoked', async () => {
    const key = await edge.newKey();
    const headers = { authorization: `Bearer ${key.key}` };
    const made = await fetch(edge.url + path, { method: 'POST', headers, body: JSON.stringify(body()) });
    const { id } = (await made.json()) as ResponseObject;
    expect((await key.get(`${path}/${id}`)).status).toBe(200);
    await edge.admin('DELETE', `/keys/${key.id}`);
    expect((await key.get(`${path}/${id}`)).status).toBe(401);
    const goesOn = await fetch(edge.url + path, {
      method: 'POST',
      headers,
      body: JSON.stringify(body({ previous_response_id: id })),
    });
    expect(goesOn.status).toBe(401);
  });
});
