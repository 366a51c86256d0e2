import { expect, test } from 'vitest';
import { Fold } from '../src/fold.ts';
import { chunk, first, last, second, text, usage, usageChunk } from './answers.ts';

function foldOf(...chunks: unknown[]): Fold {
  const fold = new Fold();
  for (const one of chunks) fold.add(one as Parameters<Fold['add']>[0]);
  return fold;
}

test('adds up to the answer that comes without stream', () => {
  expect(foldOf(first, second, last, usageChunk).whole).toEqual({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'huozi',
    choices: [
      { index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop', logprobs: null },
    ],
    usage,
  });
});

test('keeps the role that was spoken', () => {
  expect(foldOf(chunk({ role: '助手', content: '好' })).whole).toMatchObject({
    choices: [{ message: { role: '助手' } }],
  });
});

test('is whole when every choice that began has ended', () => {
  const other = { ...second, choices: [{ index: 1, delta: { content: '再见' }, finish_reason: null }] };
  const otherEnd = { ...last, choices: [{ index: 1, delta: {}, finish_reason: 'length' }] };
  expect(foldOf().isWhole).toBeFalsy();
  expect(foldOf(usageChunk).isWhole).toBeFalsy();
  expect(foldOf(first).isWhole).toBeFalsy();
  expect(foldOf(first, last).isWhole).toBeTruthy();
  expect(foldOf(other, first, last).isWhole).toBeFalsy();
  const both = foldOf(other, first, last, otherEnd);
  expect(both.isWhole).toBeTruthy();
  expect(both.whole).toMatchObject({
    choices: [
      { index: 0, finish_reason: 'stop' },
      { index: 1, finish_reason: 'length' },
    ],
  });
});

test('tool calls: names once, arguments in pieces, several beside each other', () => {
  const call = (index: number, rest: object) => chunk({ tool_calls: [{ index, ...rest }] });
  const { whole } = foldOf(
    chunk({ role: 'assistant', content: null }),
    call(0, { id: 'a', type: 'function', function: { name: 'add', arguments: '' } }),
    call(0, { function: { arguments: '{"x":' } }),
    call(1, { id: 'b', type: 'function', function: { name: 'now' } }),
    call(0, { function: { arguments: '1}' } }),
    call(1, { function: { arguments: '{}' } }),
    chunk({}, 'tool_calls'),
  );
  expect(whole?.choices[0]?.message).toEqual({
    role: 'assistant',
    content: null,
    tool_calls: [
      { id: 'a', type: 'function', function: { name: 'add', arguments: '{"x":1}' } },
      { id: 'b', type: 'function', function: { name: 'now', arguments: '{}' } },
    ],
  });
  expect(JSON.stringify(whole)).not.toContain('"index":1');
});

test('logprobs are joined list by list', () => {
  const entry = (token: string) => ({ token, logprob: -0.5, bytes: null, top_logprobs: [] });
  const withLogprobs = (token: string) => ({
    ...first,
    choices: [
      { ...chunk({ content: token }).choices[0], logprobs: { content: [entry(token)], refusal: null } },
    ],
  });
  const chunks = [withLogprobs('你'), withLogprobs('好')];
  expect(foldOf(...chunks, last).whole?.choices[0]?.logprobs).toEqual({
    content: [entry('你'), entry('好')],
  });
  // The chunks are the reader's and stay as they came.
  expect(chunks[0]!.choices[0]!.logprobs.content).toHaveLength(1);
});

test('completions', () => {
  const piece = (text: string, finish: string | null) => ({
    id: 'cmpl-1',
    object: 'text_completion',
    created: 1,
    model: 'huozi',
    choices: [{ index: 0, text, finish_reason: finish, logprobs: null }],
  });
  expect(foldOf(piece('疑是', null), piece('地上霜', null), piece('', 'stop')).whole).toEqual({
    ...piece('疑是地上霜', 'stop'),
  });
});

test.each([
  null,
  5,
  'text',
  {},
  { choices: null },
  { choices: [null] },
  { choices: [{ index: 0, delta: { tool_calls: 5 } }] },
])('throws for %o rather than to add up nonsense', (bad) => {
  expect(() => foldOf(bad)).toThrow(TypeError);
});

test('an index of a billion costs nothing', () => {
  const far = { ...first, choices: [{ index: 1e9, delta: { content: 'x' }, finish_reason: 'stop' }] };
  expect(foldOf(far).whole?.choices).toHaveLength(1);
});
