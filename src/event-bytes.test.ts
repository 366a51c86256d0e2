import { describe, expect, it } from 'vitest';
import { closesStream, isPing, readLastWrite, wholeEvents } from './event-bytes.ts';

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
  expect(isPing(bytes(': ping\n\n: ping\n\n'))).toBe(false);
});

describe('readLastWrite', () => {
  const text = 'id: 4\n: ids 9\ndata: {"choices":[{"delta":{"content":"\\n: usage {}\\nid: 99\\n"}}]}\n\n';
  const usage = { prompt_tokens: 3, completion_tokens: 5, reason: 'stop' };

  it('finds the position, and is not fooled by what was said', () => {
    expect(readLastWrite(bytes(text))).toEqual({
      usage: undefined,
      position: 4,
      failed: false,
      cancelled: false,
    });
  });

  it('finds the usage of a good end', () => {
    const end = `${text}id: 5\ndata: {"x":1}\n\n: usage ${JSON.stringify(usage)}\ndata: [DONE]\n\n`;
    expect(readLastWrite(bytes(end))).toEqual({ usage, position: 5, failed: false, cancelled: false });
  });

  it('knows an error by the last event', () => {
    const end = `: usage ${JSON.stringify({ ...usage, reason: 'error' })}\ndata: {"error":{"message":"x"}}\n\n`;
    expect(readLastWrite(bytes(end))).toMatchObject({ usage: { reason: 'error' }, failed: true });
    expect(readLastWrite(bytes(end + text))).toMatchObject({ failed: false });
  });

  it('knows an answer that somebody had the node stop, whatever was said in it', () => {
    const stopped = { error: { message: 'x', type: 'x', param: null, code: 'generation_cancelled' } };
    const end = `: usage ${JSON.stringify(usage)}\ndata: ${JSON.stringify(stopped)}\n\n`;
    expect(readLastWrite(bytes(text + end))).toMatchObject({ failed: true, cancelled: true });
    const said = `data: ${JSON.stringify({ x: '"code":"generation_cancelled"' })}\n\n`;
    expect(readLastWrite(bytes(said))).toMatchObject({ failed: false, cancelled: false });
  });

  it.each(['{', '{"prompt_tokens":"3"}', 'null', ''])('takes no usage from %j', (json) => {
    expect(readLastWrite(bytes(`: usage ${json}\ndata: [DONE]\n\n`)).usage).toBeUndefined();
  });
});
