import { describe, expect, it } from 'vitest';
import {
  closesStream,
  codeOf,
  endEvents,
  failureAt,
  firstEvent,
  isPing,
  readIds,
  readLastWrite,
  wholeEvents,
} from './event-bytes.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('wholeEvents', () => {
  it.each([
    ['', 0],
    ['data: 1', 0],
    ['data: 1\n', 0],
    ['data: 1\n\n', 9],
    ['data: 1\n\ndata: 2', 9],
    ['data: 1\n\ndata: 2\n', 9],
    ['data: 1\n\ndata: 2\n\n', 18],
    ['\n\n', 2],
    ['\n', 0],
  ])('%j ends at %i', (text, end) => {
    expect(wholeEvents(bytes(text))).toBe(end);
  });
});

describe('closesStream', () => {
  it.each([
    ['data: [DONE]\n\n', true],
    [': usage {}\ndata: [DONE]\n\n', true],
    ['data: [DONE]\n', false],
    ['data: {"content":"data: [DONE]"}\n\n', false],
    ['data: [DONE]\n\ndata: 1\n\n', false],
    ['\n\n', false],
  ])('%j: %s', (text, expected) => {
    expect(closesStream(bytes(text))).toBe(expected);
  });
});

it('isPing knows pings alone', () => {
  expect(isPing(bytes(': ping\n\n'))).toBe(true);
  expect(isPing(bytes('data: 1\n'))).toBe(false);
  expect(isPing(bytes(': ping   \n\n: ping\n\n'))).toBe(true);
  expect(isPing(bytes(': ping\ndata: 1\n\n'))).toBe(false);
  expect(isPing(bytes(': ping\n\nid: 1\ndata: {}\n\n'))).toBe(false);
  expect(isPing(bytes(': usage {}\ndata: [DONE]\n\n'))).toBe(false);
});

describe('readLastWrite', () => {
  const text = 'id: 4\n: ids 9\ndata: {"choices":[{"delta":{"content":"\\n: usage {}\\nid: 99\\n"}}]}\n\n';
  const usage = { prompt_tokens: 3, completion_tokens: 5, reason: 'stop' };

  it('finds the position, and is not fooled by what was said', () => {
    expect(readLastWrite(bytes(text))).toEqual({ usage: undefined, position: 4 });
  });

  it('finds the usage of a good end', () => {
    const end = `${text}id: 5\ndata: {"x":1}\n\n: usage ${JSON.stringify(usage)}\ndata: [DONE]\n\n`;
    expect(readLastWrite(bytes(end))).toEqual({ usage, position: 5 });
  });

  it.each(['{', '{"prompt_tokens":"3"}', 'null', ''])('takes no usage from %j', (json) => {
    expect(readLastWrite(bytes(`: usage ${json}\ndata: [DONE]\n\n`)).usage).toBeUndefined();
  });
});

describe('failureAt', () => {
  const text = 'id: 4\n: ids 9\ndata: {"choices":[{"delta":{"content":"\\n\\ndata: {\\"error\\":{}}"}}]}\n\n';
  const usage = ': usage {"prompt_tokens":3,"completion_tokens":5,"reason":"error"}\n';
  const failure = (code: unknown) =>
    `${usage}data: ${JSON.stringify({ error: { message: 'x "code":"y"', type: 'x', param: null, code } })}\n\n`;

  it.each(['', text])('finds the error event after %j, with its usage', (before) => {
    const all = bytes(before + failure('internal_error'));
    expect(failureAt(all)).toBe(bytes(before).length);
    expect(codeOf(all.subarray(failureAt(all)))).toBe('internal_error');
  });

  it('knows no code where there is none', () => {
    expect(codeOf(bytes(failure(null)))).toBeUndefined();
    expect(codeOf(bytes(failure('a b')))).toBeUndefined();
    expect(codeOf(bytes(failure(7)))).toBeUndefined();
  });

  it.each([
    '',
    '\n\n',
    ': ping\n\n',
    text,
    failure('x') + text,
    'data: {"usage":{"x":{}}}\n\n',
    `${usage}data: [DONE]\n\n`,
    'data: {"choices":[],"error":{"x":1}}\n\n',
  ])('finds none at the end of %j', (events) => {
    expect(failureAt(bytes(events))).toBe(-1);
  });
});

describe('readIds', () => {
  const event = (position: number, ids: string, text = 'x') =>
    `id: ${position}\n${ids === '' ? '' : `: ids ${ids}\n`}data: {"choices":[{"delta":{"content":${JSON.stringify(text)}}}]}\n\n`;

  it.each<[string, string, number[]]>([
    ['nothing', '', []],
    ['a ping', ': ping\n\n', []],
    ['one id', event(1, '312'), [312]],
    ['several ids, several events', event(2, '312,0') + event(3, '56999'), [312, 0, 56999]],
    ['an event without ids', event(0, '') + event(1, '7'), [7]],
    ['ids beside other comments', `id: 1\n: ids 4\n: experts AAE=\ndata: {}\n\n${event(2, '5')}`, [4, 5]],
    ['what was said is data', event(1, '9', '\n: ids 1,2\n\n'), [9]],
  ])('%s', (_what, text, expected) => {
    const ids: number[] = [];
    readIds(bytes(text), ids);
    expect(ids).toEqual(expected);
  });
});

describe('what no node writes', () => {
  const good = 'id: 1\n: ids 7\ndata: {"x":1}\n\n';
  it.each([
    'garbage\n\n',
    '<html>\n\n</html>\n\n',
    'data: {"x":\n\n',
    'data: [DO\n\n',
    'data: x}\n\n',
    'data:\n\n',
    'event: x\ndata: {}\n\n',
    'id: 2\n: ids 8\ndata: {"x"\n\n',
  ])('%j is found, with its ids and those after it not told', (bad) => {
    const ids: number[] = [];
    expect(readIds(bytes(good + bad + good), ids)).toBe(good.length);
    expect(ids).toEqual([7]);
    expect(readIds(bytes(bad), ids)).toBe(0);
    expect(ids).toEqual([7]);
  });

  it.each([good, ': ping\n\n', `${good}${good}`, ': usage {}\ndata: [DONE]\n\n', '\n\n'])(
    '%j is none of it',
    (events) => {
      expect(readIds(bytes(events), [])).toBe(events.length);
    },
  );
});

it('endEvents knows a finish and a usage from text that speaks of them', () => {
  const text = JSON.stringify('"finish_reason":"stop" "choices":[],"usage":{');
  const event = (rest: string) => bytes(`id: 1\ndata: {"choices":[{"delta":{"content":${text}},${rest}}\n\n`);
  expect(endEvents(event('"finish_reason":null}],"usage":null'))).toBe(0);
  expect(endEvents(event('"finish_reason":"stop"}],"usage":null'))).toBe(1);
  expect(endEvents(bytes('data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'))).toBe(2);
});

it('firstEvent ends after the first blank line', () => {
  expect(firstEvent(bytes('id: 1\ndata: {}\n\ndata: [DONE]\n\n'))).toBe('id: 1\ndata: {}\n\n'.length);
  expect(firstEvent(bytes(': ping\n\n'))).toBe(8);
});
