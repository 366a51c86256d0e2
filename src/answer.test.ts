/** An answer in one piece is what its events add up to. */
import { describe, expect, it } from 'vitest';
import { Answer } from './answer.ts';

const head = {
  id: 'x',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'huozi',
  system_fingerprint: 'fp',
};
const encoder = new TextEncoder();

function fold(...chunks: object[]): Answer {
  const answer = new Answer();
  for (const chunk of chunks)
    answer.add(encoder.encode(`id: 1\ndata: ${JSON.stringify({ ...head, ...chunk })}\n\n`));
  return answer;
}
const choices = (...some: object[]) => ({ choices: some });
const delta = (index: number, delta: object, rest: object = {}) => ({
  index,
  delta,
  logprobs: null,
  finish_reason: null,
  ...rest,
});
const finish = (index: number, finish_reason = 'stop') => delta(index, {}, { finish_reason });
const body = (answer: Answer) => JSON.parse(JSON.stringify(answer));

it('text, its choices apart however they come', () => {
  const answer = fold(
    choices(delta(1, { role: 'assistant', content: 'b' })),
    choices(delta(0, { role: 'assistant', content: 'a' })),
    choices(delta(0, { content: 'A' }), delta(1, { content: 'B' })),
    choices(finish(0, 'length')),
    choices(finish(1)),
    { choices: [], usage: { total_tokens: 4 } },
  );
  expect(answer.whole).toBe(true);
  const end = { logprobs: null };
  expect(body(answer)).toEqual({
    ...head,
    object: 'chat.completion',
    choices: [
      { index: 0, message: { role: 'assistant', content: 'aA' }, ...end, finish_reason: 'length' },
      { index: 1, message: { role: 'assistant', content: 'bB' }, ...end, finish_reason: 'stop' },
    ],
    usage: { total_tokens: 4 },
  });
});

it('calls of functions, with and without text', () => {
  const call = (index: number, id: string, name: string) => ({
    index,
    id,
    type: 'function',
    function: { name, arguments: '' },
  });
  const more = (index: number, piece: string) =>
    delta(0, { tool_calls: [{ index, function: { arguments: piece } }] });
  const calls = [
    choices(delta(0, { tool_calls: [call(0, 'call_a', 'f')] })),
    choices(more(0, '{"x"')),
    choices(delta(0, { tool_calls: [call(1, 'call_b', 'g')] })),
    choices(more(1, '{}')),
    choices(more(0, ':1}')),
    choices(finish(0, 'tool_calls')),
  ];
  const tool_calls = [
    { id: 'call_a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } },
    { id: 'call_b', type: 'function', function: { name: 'g', arguments: '{}' } },
  ];
  const opening = (content: string) => choices(delta(0, { role: '助手', content }));
  expect(body(fold(opening(''), ...calls)).choices).toEqual([
    {
      index: 0,
      message: { role: '助手', content: null, tool_calls },
      logprobs: null,
      finish_reason: 'tool_calls',
    },
  ]);
  expect(body(fold(opening('我看看'), ...calls)).choices[0].message).toMatchObject({
    content: '我看看',
    tool_calls,
  });
});

it('log-probabilities of a chat and of a text completion', () => {
  const token = (token: string) => ({ token, logprob: -1, bytes: [1], top_logprobs: [] });
  const chat = fold(
    choices(delta(0, { content: 'a' }, { logprobs: { content: [token('a')], refusal: null } })),
    choices(delta(0, { content: 'b' }, { logprobs: { content: [token('b'), token('')], refusal: null } })),
    choices(finish(0)),
  );
  expect(body(chat).choices[0].logprobs).toEqual({
    content: [token('a'), token('b'), token('')],
    refusal: null,
  });

  const legacy = (text: string, offset: number) => ({
    index: 0,
    text,
    logprobs: { tokens: [text], token_logprobs: [-1], top_logprobs: [{ [text]: -1 }], text_offset: [offset] },
    finish_reason: null,
  });
  const object = 'text_completion';
  const text = fold(
    { object, ...choices(legacy('a', 0)) },
    { object, ...choices(legacy('b', 1)) },
    { object, ...choices({ index: 0, text: '', logprobs: null, finish_reason: 'stop' }) },
  );
  expect(body(text).choices).toEqual([
    {
      text: 'ab',
      index: 0,
      logprobs: {
        tokens: ['a', 'b'],
        token_logprobs: [-1, -1],
        top_logprobs: [{ a: -1 }, { b: -1 }],
        text_offset: [0, 1],
      },
      finish_reason: 'stop',
    },
  ]);
});

it('experts, whose padding stands between the pieces', () => {
  const pieces = [[1, 2, 3, 4], [5, 6], [7]];
  const answer = fold(
    ...pieces.map((bytes) => ({
      routed_experts: Buffer.from(bytes).toString('base64'),
      ...choices(delta(0, { content: 'x' })),
    })),
    choices(finish(0)),
  );
  expect([...Buffer.from(body(answer).routed_experts, 'base64')]).toEqual(pieces.flat());
});

describe('is not whole', () => {
  it.each([
    ['without a choice', { choices: [] }],
    ['while one choice goes on', choices(finish(0)), choices(delta(1, { content: 'x' }))],
    ['while nothing has come of a choice before another', choices(finish(1))],
    ['with a choice that cannot be', choices(finish(0)), choices(finish(1e9))],
    ['with a choice before the first', choices(finish(0)), choices(finish(-1))],
    ['with an error', { error: {}, choices: [finish(0)] }],
  ])('%s', (_name, ...chunks) => {
    expect(fold(...(chunks as object[])).whole).toBe(false);
  });
});
