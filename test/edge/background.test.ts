/** Responses that are made without their client, before a node that does what a test says. By OpenAI's own client. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { edgeBeforeNode, errorOf, startEdge, until } from './edge.ts';
import { accept, answer, refuse, type ScriptedNode, streamOf, textEvent } from './scripted-node.ts';
import { tellInSteps } from './tell-in-steps.ts';

type Event = OpenAI.Responses.ResponseStreamEvent;

const { node, edge } = edgeBeforeNode();
const clientOf = ({ url, apiKey }: { url: string; apiKey: string }) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 }).responses;
const body = { model: 'huozi', input: '你好', background: true } as const;

const begin = (responses: OpenAI.Responses) => responses.create({ ...body, stream: true });

/** Reads until there are `count` events, and leaves; without it to the end. */
async function read(stream: AsyncIterable<Event>, count = Number.POSITIVE_INFINITY): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of stream) if (events.push(event) >= count) break;
  return events;
}

/** One that was begun, and of which `tokens` have been told and read. */
async function tell(responses: OpenAI.Responses, text: string, tokens: number) {
  const steps = tellInSteps(node, text);
  const stream = await begin(responses);
  await steps.tell(tokens);
  const before = await read(stream, opening + tokens);
  return { steps, before, id: idIn(before) };
}

const idIn = ([first]: Event[]) => (first as OpenAI.Responses.ResponseCreatedEvent).response.id;
const numbersOf = (events: Event[]) => events.map(({ sequence_number }) => sequence_number);
const textOf = (events: Event[]) =>
  events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('');
const lastOf = (events: Event[]) => events.at(-1) as OpenAI.Responses.ResponseCompletedEvent;
/** Events before the first piece of text. */
const opening = 4;
const poem = '床前明月光';

describe('in the background', () => {
  it('a stream that was cut goes on after any event, live or ended, each event once', async () => {
    const responses = clientOf(edge);
    const { steps, before, id } = await tell(responses, poem, 2);
    expect(textOf(before)).toBe('床前');
    await steps.tell(4);
    const live = await responses.retrieve(id, { stream: true, starting_after: 3 });
    const head = await read(live, 4);
    expect([numbersOf(head), textOf(head)]).toEqual([[4, 5, 6, 7], '床前明月']);
    const rest = await responses.retrieve(id, { stream: true, starting_after: opening + 1 });
    await steps.finish();
    const whole = [...before, ...(await read(rest))];
    expect(numbersOf(whole)).toEqual(whole.map((_, at) => at));
    expect(textOf(whole)).toBe(poem);
    expect(lastOf(whole).response).toMatchObject({ id, status: 'completed', background: true });
    expect((await steps.begun()).abandoned).toBe(false);

    for (let after = 0; after < whole.length; after++) {
      const again = await responses.retrieve(id, { stream: true, starting_after: after });
      expect(await read(again)).toEqual(whole.slice(after + 1));
    }
    expect(await read(await responses.retrieve(id, { stream: true }))).toEqual(whole);
    // The client's own putting together, which begins anew and shows what comes after.
    const put = responses.stream({ response_id: id, starting_after: opening });
    const shown: number[] = [];
    put.on('event', (event) => shown.push(event.sequence_number));
    expect((await put.finalResponse()).output_text).toBe(poem);
    expect(shown).toEqual(numbersOf(whole).slice(opening + 1));
    expect(await responses.retrieve(id)).toMatchObject({ status: 'completed', output_text: poem });
    expect(await edge.metered(id)).toHaveLength(1);
  });

  it('without a stream it is there at once, and polled', async () => {
    const responses = clientOf(edge);
    const steps = tellInSteps(node, poem);
    const begun = await responses.create(body);
    expect(begun).toMatchObject({ status: 'in_progress', background: true, output: [] });
    expect(await responses.retrieve(begun.id)).toMatchObject({ status: 'in_progress' });
    await steps.finish();
    const ended = await until(async () => {
      const now = await responses.retrieve(begun.id);
      return now.status !== 'in_progress' && now;
    });
    expect(ended).toMatchObject({ id: begun.id, status: 'completed', output_text: poem });
    expect(textOf(await read(await responses.retrieve(begun.id, { stream: true })))).toBe(poem);
    node.script = answer(poem);
    const next = await responses.create({ model: 'huozi', input: '再见', previous_response_id: begun.id });
    expect(next.output_text).toBe(poem);
  });

  it('cancel stops it, frees its node, and keeps what was said', async () => {
    const responses = clientOf(edge);
    const { before, id } = await tell(responses, poem, 2);
    const reading = read(await responses.retrieve(id, { stream: true, starting_after: opening + 1 }));
    expect(await responses.cancel(id)).toMatchObject({ id, status: 'cancelled' });
    expect(await responses.retrieve(id)).toMatchObject({ status: 'cancelled', output_text: '床前' });
    expect(node.cancelled).toContain(id);
    const rest = await reading;
    expect(numbersOf([...before, ...rest])).toEqual([...before, ...rest].map((_, at) => at));
    expect(lastOf(rest)).toMatchObject({ type: 'response.incomplete', response: { status: 'cancelled' } });
    const [line] = await edge.metered(id);
    expect(line).toMatchObject({ reason: 'cancelled', completion_tokens: 3 });
    // One that has ended stays as it is.
    expect(await responses.cancel(id)).toMatchObject({ status: 'cancelled' });
  });

  it('is its key’s alone', async () => {
    const responses = clientOf(edge);
    const { steps, id } = await tell(responses, poem, 1);
    const { key } = await edge.newKey();
    const theirs = clientOf({ url: edge.url, apiKey: key });
    const notFound = { status: 404, code: 'response_not_found' };
    await expect(theirs.retrieve(id, { stream: true })).rejects.toMatchObject(notFound);
    await expect(theirs.retrieve(id)).rejects.toMatchObject(notFound);
    await expect(theirs.cancel(id)).rejects.toMatchObject(notFound);
    await expect(theirs.delete(id)).rejects.toMatchObject(notFound);
    await steps.finish();
    expect(textOf(await read(await responses.retrieve(id, { stream: true })))).toBe(poem);
  });

  it('deleting it stops it, and leaves nothing of what was said', async () => {
    const responses = clientOf(edge);
    const { id } = await tell(responses, poem, 1);
    await responses.delete(id);
    expect(node.cancelled).toContain(id);
    await expect(responses.retrieve(id, { stream: true })).rejects.toMatchObject({ status: 404 });
    const headers = { authorization: `Bearer ${edge.apiKey}`, 'last-event-id': '1' };
    expect((await fetch(`${edge.url}/v1/streams/${id}`, { headers })).status).toBe(404);
  });

  it.each([true, false])(
    'asked for twice by one idempotency key it is made once (stream: %j)',
    async (stream) => {
      node.script = answer(poem);
      const asked = node.generations.length;
      const ask = () =>
        edge.post(
          { ...body, stream },
          { path: '/v1/responses', headers: { 'idempotency-key': `k ${stream}` } },
        );
      const texts: string[] = [];
      for (const response of [await ask(), await ask()]) {
        // To leave it is no wish to stop it, so nobody is told how to.
        expect(response.headers.get('x-huozi-stream')).toBeNull();
        texts.push((await response.text()).replaceAll(/: ping *\n\n/g, ''));
      }
      expect(texts[1]).toBe(texts[0]);
      expect(node.generations).toHaveLength(asked + 1);
      const { id } = node.generations.at(-1)!.request.events;
      expect(texts[0]).toContain(id);
      expect(textOf(await read(await clientOf(edge).retrieve(id, { stream: true })))).toBe(poem);
    },
  );

  it('a node that is lost with no other left cuts its readers, who come back for the rest', async () => {
    const responses = clientOf(edge);
    const { steps, before, id } = await tell(responses, '半', 1);
    const cut = read(await responses.retrieve(id, { stream: true, starting_after: opening }));
    node.script = refuse(503, {});
    (await steps.begun()).response.socket!.resetAndDestroy();
    await expect(cut).rejects.toMatchObject({ code: 'stream_interrupted' });
    expect(await responses.retrieve(id)).toMatchObject({ status: 'in_progress' });
    goOn(node, '好');
    const rest = await read(await responses.retrieve(id, { stream: true, starting_after: opening }));
    const whole = [...before, ...rest];
    expect(numbersOf(whole)).toEqual(whole.map((_, at) => at));
    expect(lastOf(whole).response).toMatchObject({ status: 'completed' });
    expect(await responses.retrieve(id)).toMatchObject({ status: 'completed', output_text: '半好' });
    expect(node.generations.at(-1)!.request).toMatchObject({ continue_ids: [101] });
    expect(await edge.metered(id)).toHaveLength(1);
  });
});

/** What a node does that is asked to go on after one token. */
function goOn(node: ScriptedNode, text: string): void {
  node.script = (generation) => {
    accept(generation);
    generation.response.end(streamOf(generation.request, text).replace(/^: ids 101$/m, ': ids 102'));
  };
}

it.each([0, 1])(
  'whose worker dies after %i tokens goes on at another',
  async (tokens) => {
    const stateDirectory = await mkdtemp(join(tmpdir(), 'huozi-background-'));
    const first = await startEdge([node], [node.url], { stateDirectory });
    let second: typeof first | undefined;
    try {
      node.script = (generation) => {
        accept(generation);
        if (tokens > 0) generation.response.write(textEvent(generation.request, 1, '半'));
      };
      const asked = node.generations.length;
      const before = await read(await begin(clientOf(first)), tokens > 0 ? opening + 1 : 2);
      const id = idIn(before);
      await first.stop();
      goOn(node, '好');
      second = await startEdge([node], [node.url], { stateDirectory });
      const responses = clientOf({ url: second.url, apiKey: first.apiKey });
      // Nobody asks for its events: its alarm goes on with it.
      const ended = await until(async () => {
        const now = await responses.retrieve(id);
        return now.status !== 'in_progress' && now;
      });
      expect(ended).toMatchObject({ status: 'completed', output_text: tokens > 0 ? '半好' : '好' });
      const last = before.at(-1)!.sequence_number;
      const rest = await read(await responses.retrieve(id, { stream: true, starting_after: last }));
      const whole = [...before, ...rest];
      expect(numbersOf(whole)).toEqual(whole.map((_, at) => at));
      expect(await read(await responses.retrieve(id, { stream: true }))).toEqual(whole);
      expect(lastOf(whole).response.output).toEqual(ended.output);
      expect(node.generations).toHaveLength(asked + 2);
      expect(node.generations.at(-1)!.request.continue_ids).toEqual(tokens > 0 ? [101] : undefined);
    } finally {
      await first.stop().catch(() => undefined);
      await second?.stop();
      await rm(stateDirectory, { recursive: true, force: true });
    }
  },
  60_000,
);

describe('refused', () => {
  const ask = (fields: object) => edge.post({ ...body, ...fields }, { path: '/v1/responses' });
  const get = (rest: string) =>
    fetch(`${edge.url}/v1/responses/${rest}`, { headers: { authorization: `Bearer ${edge.apiKey}` } });

  it('where nothing is stored, and as any other request is', async () => {
    expect(await errorOf(await ask({ store: false }))).toMatchObject({ status: 400, param: 'background' });
    expect(await errorOf(await ask({ wrong: 1 }))).toMatchObject({ status: 400, param: 'wrong' });
    node.script = refuse(503, {});
    expect(await errorOf(await ask({}))).toMatchObject({ status: 503, code: 'no_node_available' });
  });

  it('reading where nothing was kept for it, or from where it has not come', async () => {
    const ordinary = (await (await ask({ background: false })).json()) as { id: string };
    expect(await errorOf(await get(`${ordinary.id}?stream=true`))).toMatchObject({
      status: 400,
      param: 'stream',
    });
    const { id } = (await (await ask({})).json()) as { id: string };
    for (const query of [
      'starting_after=1',
      'stream=true&starting_after=99',
      'stream=true&starting_after=x',
    ]) {
      expect(await errorOf(await get(`${id}?${query}`))).toMatchObject({
        status: 400,
        param: 'starting_after',
      });
    }
  });

  it('when its time is over', async () => {
    const short = await startEdge([node], [node.url], { bindings: { STREAM_RETENTION_SECONDS: '0.2' } });
    try {
      const responses = clientOf(short);
      const id = idIn(await read(await begin(responses)));
      const error = await until(() =>
        responses.retrieve(id, { stream: true }).then(
          () => undefined,
          (error) => error,
        ),
      );
      expect(error).toMatchObject({ status: 404, code: 'stream_not_found' });
      expect(await responses.retrieve(id)).toMatchObject({ status: 'completed' });
    } finally {
      await short.stop();
    }
  });
});
