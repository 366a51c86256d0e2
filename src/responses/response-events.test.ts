import { describe, expect, it } from 'vitest';
import { ResponseEvents } from './response-events.ts';
import { settingsOf } from './response-object.ts';
import { parseResponseFields } from './response-request.ts';

const encoder = new TextEncoder();
const logprob = { token: '好', logprob: -0.1, bytes: [229, 165, 189], top_logprobs: [] };

function telling(kept?: 'cancelled') {
  const settings = settingsOf('resp_1', 1, parseResponseFields({ model: 'huozi', input: '好' }));
  const keeper = kept && { begin: async () => undefined, end: async () => kept };
  return new ResponseEvents(settings, 'assistant', keeper);
}

const delta = (fields: object, rest: object = {}) => ({
  choices: [{ index: 0, delta: fields, logprobs: null, finish_reason: null, ...rest }],
});
const finish = (finish_reason: string) => delta({}, { finish_reason });
const usage = {
  choices: [],
  usage: {
    prompt_tokens: 5,
    completion_tokens: 2,
    total_tokens: 7,
    prompt_tokens_details: { cached_tokens: 4 },
  },
};
const call = (index: number, fields: object) => delta({ tool_calls: [{ index, ...fields }] });

/** The data of every event; their `event:` lines must agree. */
function parse(stream: string) {
  return stream
    .split('\n\n')
    .filter(Boolean)
    .map((event) => {
      const [, type, data] = /^event: (\S+)\ndata: (.+)$/.exec(event)!;
      const parsed = JSON.parse(data!);
      expect(parsed.type).toBe(type);
      return parsed;
    });
}

async function tell(
  chunks: object[],
  { problem, kept }: { problem?: 'node_lost' | 'client_gone'; kept?: 'cancelled' } = {},
) {
  const told = telling(kept);
  let stream = told.begin();
  for (const chunk of chunks)
    stream += told.add(encoder.encode(`id: 1\n: ids 1\ndata: ${JSON.stringify(chunk)}\n\n`));
  stream += await told.end(problem && { kind: problem });
  const events = parse(stream);
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
  return { events, types: events.map(({ type }) => type), response: JSON.parse(JSON.stringify(told)), told };
}

const around = (...types: string[]) => ['response.created', 'response.in_progress', ...types];
const messageOpens = ['response.output_item.added', 'response.content_part.added'];
const messageCloses = [
  'response.output_text.done',
  'response.content_part.done',
  'response.output_item.done',
];
const callCloses = ['response.function_call_arguments.done', 'response.output_item.done'];

describe('events', () => {
  it('of text', async () => {
    const { types, events, response } = await tell([
      delta({ role: 'assistant', content: '' }),
      delta({ content: '你' }),
      delta({ content: '"\n' }),
      finish('stop'),
      usage,
    ]);
    expect(types).toEqual(
      around(
        ...messageOpens,
        'response.output_text.delta',
        'response.output_text.delta',
        ...messageCloses,
        'response.completed',
      ),
    );
    const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
    expect(deltas.map((event) => event.delta).join('')).toBe('你"\n');
    const [{ id }] = response.output;
    for (const event of deltas) {
      expect(event).toMatchObject({ item_id: id, output_index: 0, content_index: 0, logprobs: [] });
    }
    expect(response).toMatchObject({
      status: 'completed',
      output: [
        {
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: '你"\n', annotations: [], logprobs: [] }],
        },
      ],
      usage: {
        input_tokens: 5,
        input_tokens_details: { cached_tokens: 4 },
        output_tokens: 2,
        total_tokens: 7,
      },
    });
    expect(events.at(-1).response).toEqual(response);
    expect(events[0].response).toMatchObject({ status: 'in_progress', output: [], usage: null });
  });

  it('of text and then two calls, whose arguments come in pieces', async () => {
    const { types, events, response } = await tell([
      delta({ role: 'assistant', content: '看看' }),
      call(0, { id: 'call_a', type: 'function', function: { name: 'weather', arguments: '' } }),
      call(0, { function: { arguments: '{"city":' } }),
      call(0, { function: { arguments: '"哈尔滨"}' } }),
      call(1, { id: 'call_b', type: 'function', function: { name: 'time', arguments: '{}' } }),
      finish('tool_calls'),
    ]);
    const argument = 'response.function_call_arguments.delta';
    expect(types).toEqual(
      around(
        ...messageOpens,
        'response.output_text.delta',
        ...messageCloses,
        'response.output_item.added',
        argument,
        argument,
        ...callCloses,
        'response.output_item.added',
        argument,
        ...callCloses,
        'response.completed',
      ),
    );
    expect(response.output).toMatchObject([
      { type: 'message', status: 'completed' },
      {
        type: 'function_call',
        call_id: 'call_a',
        name: 'weather',
        arguments: '{"city":"哈尔滨"}',
        status: 'completed',
      },
      { type: 'function_call', call_id: 'call_b', name: 'time', arguments: '{}', status: 'completed' },
    ]);
    expect(
      events.filter(({ type }) => type === 'response.output_item.added').map((event) => event.item),
    ).toMatchObject([
      { content: [], status: 'in_progress' },
      { arguments: '', status: 'in_progress' },
      { arguments: '', status: 'in_progress' },
    ]);
    expect(events.filter(({ type }) => type === argument).map((event) => event.output_index)).toEqual([
      1, 1, 2,
    ]);
  });

  it('of nothing: an empty message', async () => {
    const { types, response } = await tell([delta({ role: 'assistant', content: '' }), finish('stop')]);
    expect(types).toEqual(around(...messageOpens, ...messageCloses, 'response.completed'));
    expect(response.output[0].content[0].text).toBe('');
  });

  it('with log-probabilities, in the pieces and in the whole', async () => {
    const { events, response } = await tell([
      delta({ content: '好' }, { logprobs: { content: [logprob] } }),
      delta({ content: '好' }, { logprobs: { content: [logprob] } }),
      finish('stop'),
    ]);
    const [first] = events.filter(({ type }) => type === 'response.output_text.delta');
    expect(first.logprobs).toEqual([logprob]);
    expect(response.output[0].content[0].logprobs).toEqual([logprob, logprob]);
  });
});

describe('ends', () => {
  it('at the length: incomplete', async () => {
    const { types, response } = await tell([delta({ content: '好' }), finish('length')]);
    expect(types.at(-1)).toBe('response.incomplete');
    expect(response).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      completed_at: null,
      output: [{ status: 'incomplete' }],
    });
  });

  it.each([
    ['lost', [delta({ content: '好' })], 'node_lost', 'failed'],
    ['lost before a word', [], 'node_lost', 'failed'],
    ['without a finish', [delta({ content: '好' })], undefined, 'failed'],
    ['left by its client', [delta({ content: '好' })], 'client_gone', 'cancelled'],
  ] as const)('%s', async (_name, chunks, problem, status) => {
    const { types, response } = await tell([...chunks], problem && { problem });
    expect(response.status).toBe(status);
    expect(types.at(-1)).toBe(status === 'failed' ? 'response.failed' : 'response.incomplete');
    expect(response.error?.code).toBe(status === 'failed' ? 'server_error' : undefined);
    // What was said is told all the same.
    for (const item of response.output) {
      expect(item).toMatchObject({ status: 'incomplete', content: [{ text: '好' }] });
    }
  });

  it('cancelled, where somebody has done that meanwhile, whatever it came to', async () => {
    const chunks = [delta({ content: '好' }), { error: { code: 'generation_cancelled' } }];
    const { types, response } = await tell(chunks, { problem: 'node_lost', kept: 'cancelled' });
    expect(types.at(-1)).toBe('response.incomplete');
    expect(response).toMatchObject({ status: 'cancelled', error: null, incomplete_details: null });
  });

  it('is not whole after what no node writes', async () => {
    const told = telling();
    told.add(encoder.encode(`data: ${JSON.stringify(finish('stop'))}\n\ndata: {"x":\n\n`));
    expect(told.whole).toBe(false);
    await told.end(undefined);
    expect(told.toJSON().status).toBe('failed');
  });
});

describe('taken up', () => {
  const chunks = [
    delta({ role: 'assistant', content: '' }),
    delta({ content: '看' }, { logprobs: { content: [logprob] } }),
    delta({ content: '看' }, { logprobs: { content: [logprob] } }),
    call(0, { id: 'call_a', type: 'function', function: { name: 'weather', arguments: '' } }),
    call(0, { function: { arguments: '{"city":' } }),
    call(0, { function: { arguments: '"哈尔滨"}' } }),
    call(1, { id: 'call_b', type: 'function', function: { name: 'time', arguments: '{}' } }),
    finish('tool_calls'),
    usage,
  ];
  const add = (told: ResponseEvents, some: object[]) =>
    some.map((chunk) => told.add(encoder.encode(`data: ${JSON.stringify(chunk)}\n\n`))).join('');
  const withoutIds = (text: string) =>
    text.replace(/(msg|fc)_[0-9a-f]{48}/g, '$1').replace(/"completed_at":\d+/g, '"completed_at":1');

  it.each(chunks.map((_, at) => at))('after %i chunks it goes on as if its worker had lived', async (at) => {
    const lived = telling();
    const uncut = lived.begin() + add(lived, chunks) + (await lived.end(undefined));
    const died = telling();
    const before = died.begin() + add(died, chunks.slice(0, at));
    const next = telling();
    next.takeUp(parse(before));
    expect(next.begin()).toBe('');
    // A node that is asked to go on tells its end again.
    const rest = chunks.slice(Math.min(at, chunks.length - 2));
    const whole = before + add(next, rest) + (await next.end(undefined));
    expect(withoutIds(whole)).toBe(withoutIds(uncut));
    const events = parse(whole);
    const begun = events.filter(({ type }) => type === 'response.output_item.added');
    const ids = (items: { id: string }[]) => items.map(({ id }) => id);
    expect(ids(events.at(-1).response.output)).toEqual(ids(begun.map(({ item }) => item)));
  });
});
