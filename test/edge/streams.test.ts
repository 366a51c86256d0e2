/** Answers that outlive their connection, on real workerd before a node that does what a test says. */
import { describe, expect, it } from 'vitest';
import { chat, edgeBeforeNode, errorOf, startEdge, until, withoutPings } from './edge.ts';
import { accept, answer, type Generation, refuse, streamOf, textEvent } from './scripted-node.ts';
import { numbered, tellInSteps } from './tell-in-steps.ts';

const { node, edge } = edgeBeforeNode();
const resumable = (fields: object = {}) => chat({ stream: true, resumable: true, ...fields });

/** @param method with the key that began the stream, or `key` */
function ask(stream: string, { method = 'GET', key = edge.apiKey, lastEvent }: AskOptions = {}) {
  return fetch(edge.url + stream, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(lastEvent && { 'last-event-id': lastEvent }) },
  });
}
interface AskOptions {
  method?: string;
  key?: string;
  lastEvent?: string;
}

const nameOf = (response: Response) => response.headers.get('x-huozi-stream')!;

/** Reads until `count` events have come, and leaves. */
async function readSome(response: Response, count: number): Promise<string> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = '';
  while ((withoutPings(text).match(/\n\n/g) ?? []).length < count) {
    const { value } = await reader.read();
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return withoutPings(text);
}

const inSteps = (text: string) => tellInSteps(node, text);

describe('a resumable stream', () => {
  it('is not over for who comes back as its end is written', async () => {
    // The end is known before it is stored, and told after: for a moment the last event told is not the last. Many end
    // together, so that storing takes its time.
    const statuses = new Set<number>();
    for (let round = 0; round < 8; round++) {
      const begun: Generation[] = [];
      node.script = (generation) => {
        accept(generation);
        generation.response.write(textEvent(generation.request, 1, '一'));
        begun.push(generation);
      };
      const streams = await Promise.all(
        Array.from({ length: 40 }, async () => {
          const response = await edge.post(resumable());
          await readSome(response, 1);
          return nameOf(response);
        }),
      );
      let going = true;
      const asking = streams.map(async (stream) => {
        while (going) {
          const left = new AbortController();
          const rest = await fetch(edge.url + stream, {
            headers: { authorization: `Bearer ${edge.apiKey}`, 'last-event-id': '1' },
            signal: left.signal,
          });
          statuses.add(rest.status);
          left.abort();
        }
      });
      for (const { request, response } of begun) {
        response.end(streamOf(request, '一二').slice(textEvent(request, 1, '一').length));
      }
      const ends = streams.map(async (stream) => (await ask(stream, { lastEvent: '1' })).text());
      for (const end of await Promise.all(ends)) expect(end).toContain('[DONE]');
      going = false;
      await Promise.all(asking);
    }
    expect(statuses).toEqual(new Set([200]));
  });

  it('has a name and numbers, and can be read again from anywhere when it has ended', async () => {
    node.script = answer('一二三');
    const response = await edge.post(resumable({ stream_options: { include_usage: true } }));
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const text = withoutPings(await response.text());
    const generation = node.generations.at(-1)!;
    expect(text).toBe(numbered(generation, '一二三'));
    expect(nameOf(response)).toBe(`/v1/streams/${generation.request.events.id}`);
    const events = text.split(/(?<=\n\n)/);
    expect(events).toHaveLength(6);
    for (let n = 0; n < events.length; n++) {
      const rest = events.slice(n).join('');
      expect(await (await ask(nameOf(response), { lastEvent: String(n) })).text()).toBe(rest);
      expect(await (await ask(`${nameOf(response)}?after=${n}`)).text()).toBe(rest);
    }
    expect((await ask(nameOf(response), { lastEvent: '6' })).status).toBe(204);
    expect(await errorOf(await ask(nameOf(response), { lastEvent: '7' }))).toMatchObject({
      status: 400,
      code: 'event_not_found',
    });
    expect((await edge.metered(generation.request.events.id)).length).toBe(1);
  });

  it('goes on without its client, who comes back for the rest of it', async () => {
    const steps = inSteps('床前明月光');
    const response = await edge.post(resumable());
    await steps.tell(2);
    const before = await readSome(response, 2);
    await steps.tell(4);
    const back = await ask(nameOf(response), { lastEvent: '2' });
    const whole = await steps.finish();
    expect(before + withoutPings(await back.text())).toBe(whole);
    expect((await steps.begun()).abandoned).toBe(false);
  });

  it('has as many readers as like to, who begin where they like', async () => {
    const steps = inSteps('床前明月光疑是地上霜');
    const response = await edge.post(resumable());
    await steps.tell(5);
    await readSome(response, 5);
    const readers = await Promise.all(
      Array.from({ length: 10 }, (_, at) => ask(nameOf(response), { lastEvent: String(at % 6) })),
    );
    const whole = await steps.finish();
    const events = whole.split(/(?<=\n\n)/);
    const texts = await Promise.all(readers.map((reader) => reader.text()));
    expect(texts.map(withoutPings)).toEqual(texts.map((_, at) => events.slice(at % 6).join('')));
  });

  it('is nobody else’s', async () => {
    const response = await edge.post(resumable());
    await response.text();
    const other = await edge.newKey();
    for (const method of ['GET', 'DELETE']) {
      const refused = await ask(nameOf(response), { method, key: other.key });
      expect(await errorOf(refused)).toMatchObject({ status: 404, code: 'stream_not_found' });
      expect(await errorOf(await ask('/v1/streams/..%2Fother', { method }))).toMatchObject({ status: 404 });
      const unknown = `/v1/streams/chatcmpl-${'0'.repeat(32)}`;
      expect(await errorOf(await ask(unknown, { method }))).toMatchObject({ status: 404 });
    }
    expect((await ask(nameOf(response))).status).toBe(200);
  });

  it('is stopped by DELETE: the node is told, readers are, and what was made is billed', async () => {
    const steps = inSteps('床前明月光');
    const response = await edge.post(resumable());
    await steps.tell(3);
    const generation = await steps.begun();
    await readSome(await ask(nameOf(response)), 3);
    const reader = await ask(nameOf(response));
    const stopped = await ask(nameOf(response), { method: 'DELETE' });
    const { id } = generation.request.events;
    expect(await stopped.json()).toEqual({ id, object: 'stream', status: 'cancelled' });
    await generation.closed;
    await until(() => node.cancelled.includes(id));
    const text = withoutPings(await response.text());
    expect(text).toMatch(/id: 4\ndata: \{"error":\{.*"code":"generation_cancelled"\}\}\n\n$/);
    expect(withoutPings(await reader.text())).toBe(text);
    expect(await (await ask(nameOf(response), { lastEvent: '3' })).text()).toBe(text.split(/(?<=\n\n)/)[3]);
    const lines = await edge.metered(id);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ reason: 'cancelled', source: 'node', completion_tokens: 3 });
    const again = await ask(nameOf(response), { method: 'DELETE' });
    expect(await again.json()).toMatchObject({ status: 'cancelled' });
  });

  it('that is stopped just as it ends is said to have ended as its readers are told', async () => {
    for (let round = 0; round < 20; round++) {
      const steps = inSteps('床前');
      const response = await edge.post(resumable());
      await steps.tell(2);
      await readSome(await ask(nameOf(response)), 2);
      // Some get there before the end, some after it, and some amid it.
      const stopping = new Promise((resolve) => setTimeout(resolve, round % 5)).then(() =>
        ask(nameOf(response), { method: 'DELETE' }),
      );
      await steps.finish();
      const { status } = (await (await stopping).json()) as { status: string };
      const text = await response.text();
      expect(status).toBe(text.endsWith('data: [DONE]\n\n') ? 'completed' : 'cancelled');
    }
  });

  it('that was refused is refused like any other, and leaves nothing', async () => {
    node.script = refuse(503, {});
    const refused = await edge.post(resumable());
    expect(await errorOf(refused)).toMatchObject({ status: 503, code: 'no_node_available' });
    expect(refused.headers.has('x-huozi-stream')).toBe(false);
    expect(await errorOf(await edge.post(chat({ resumable: true })))).toMatchObject({
      status: 400,
      param: 'resumable',
    });
    expect(await errorOf(await edge.post(resumable({ wrong: 1 })))).toMatchObject({ param: 'wrong' });
  });

  it('waits where no node is left, and goes on when somebody asks for it', async () => {
    const steps = inSteps('半');
    const response = await edge.post(resumable({ seed: 5 }));
    await steps.tell(1);
    const generation = await steps.begun();
    node.script = refuse(503, {});
    await readSome(await ask(nameOf(response)), 1);
    generation.response.socket!.resetAndDestroy();
    const half = withoutPings(await response.text());
    expect(half).toMatch(/^id: 1\ndata: .*半.*\n\ndata: \{"error":\{.*"code":"stream_interrupted"\}\}\n\n$/);
    node.script = ({ request, response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(streamOf(request, '好').replace(/^: ids 101$/m, ': ids 102'));
    };
    const rest = withoutPings(await (await ask(nameOf(response), { lastEvent: '1' })).text());
    expect(rest).toMatch(/^id: 2\ndata: .*好.*\n\nid: 3\n.*"stop".*\n\nid: 4\ndata: \[DONE\]\n\n$/);
    const { request } = node.generations.at(-1)!;
    expect(request).toMatchObject({ continue_ids: [101], sampling: { seed: 5 } });
    expect(await edge.metered(request.events.id)).toHaveLength(1);
  });
});

it('that is interrupted ends for good when its time is over', async () => {
  const short = await startEdge([node], [node.url], { bindings: { DEADLINE_SECONDS: '2' } });
  const { usage } = node;
  try {
    // It has forgotten: what the edge has counted itself must do.
    node.usage = undefined;
    node.script = (generation) => {
      accept(generation);
      generation.response.write(textEvent(generation.request, 1, '半'));
    };
    const response = await short.post(resumable());
    const asked = node.generations.at(-1)!;
    const headers = { authorization: `Bearer ${short.apiKey}` };
    await readSome(await fetch(short.url + nameOf(response), { headers }), 1);
    node.script = refuse(503, {});
    asked.response.socket!.resetAndDestroy();
    expect(await response.text()).toContain('"code":"stream_interrupted"');
    const last = await until(async () => {
      const text = await (await fetch(short.url + nameOf(response), { headers })).text();
      return text.includes('"code":"deadline_exceeded"') && withoutPings(text);
    });
    expect(last).toMatch(/^id: 1\ndata: .*半.*\n\nid: 2\ndata: \{"error".*\n\n$/);
    const lines = await short.metered(asked.request.events.id);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ completion_tokens: 1 });
  } finally {
    node.usage = usage;
    await short.stop();
  }
}, 30_000);
