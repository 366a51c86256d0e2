/** Bytes, however torn, are the whole answer or an error. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChatCompletionChunk } from '../src/index.ts';
import { chunk, events, first, last, text } from './answers.ts';
import { fakeFetch, sse } from './fake-fetch.ts';
import { all, open } from './open-stream.ts';

const whole = new TextEncoder().encode(events.join(''));

test('torn in two at every byte', async () => {
  for (const line of ['\n', '\r\n', '\r']) {
    const bytes = new TextEncoder().encode(events.join('').replaceAll('\n', line));
    for (let at = 1; at < bytes.length; at++) {
      const stream = await open(fakeFetch(sse([bytes.slice(0, at), bytes.slice(at)])));
      expect(await stream.finalMessage()).toEqual({ role: 'assistant', content: text });
    }
  }
});

test('any text, torn anywhere, with any line ends, comments and keep-alives between', async () => {
  const noise = fc.constantFrom(
    '',
    ': ping\n\n',
    'data:\n\n',
    'data: \n\n',
    'id: 7\n: ids 1,2\n',
    'retry: 5\n',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.string({ unit: 'binary' }), noise), { minLength: 1, maxLength: 6 }),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.nat(), { maxLength: 12 }),
      async (parts, line, cuts) => {
        // JSON cannot carry half of a surrogate pair through UTF-8.
        const said = parts.map(([part]) => new TextDecoder().decode(new TextEncoder().encode(part)));
        const chunks = [...said.map((content) => chunk({ content })), last];
        const text = chunks
          .map((one, at) => `${parts[at]?.[1] ?? ''}data: ${JSON.stringify(one)}\n\n`)
          .join('')
          .replaceAll('\n', line);
        const bytes = new TextEncoder().encode(`${text}data: [DONE]${line}${line}`);
        const places = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b);
        const pieces = [0, ...places].map((from, at) => bytes.slice(from, places[at] ?? bytes.length));
        const stream = await open(fakeFetch(sse(pieces)));
        expect(await all(stream)).toEqual(chunks);
      },
    ),
    { numRuns: 300 },
  );
});

test('cut off at every byte: the whole answer or a TruncatedError, never a part of it', async () => {
  const end = new TextEncoder().encode(events.slice(0, 3).join('')).length;
  for (let at = 0; at < whole.length; at++) {
    const stream = await open(fakeFetch(sse([whole.slice(0, at)])), { maxRetries: 0 });
    const got = await stream.finalMessage().catch((error) => error.name);
    // Its last event's blank line is all that may be missing.
    if (at >= end - 2) expect(got, `${at}`).toEqual({ role: 'assistant', content: text });
    else expect(got, `${at}`).toBe('TruncatedError');
  }
});

test('an event without end is refused, not kept', async () => {
  const flood = Array.from({ length: 12 }, () => 'x'.repeat(2 ** 20));
  const stream = await open(fakeFetch(sse([events[0]!, 'data: ', ...flood], { hang: true })));
  await expect(all(stream)).rejects.toMatchObject({ name: 'ProtocolError' });
});

test.each(['null', '5', '"text"', '[]', '{}', '{"choices":null}', '{"choices":[null]}', 'text'])(
  'an event of %s is a ProtocolError',
  async (data) => {
    const stream = await open(fakeFetch(sse([events[0]!, `data: ${data}\n\n`, ...events.slice(1)])));
    const got: ChatCompletionChunk[] = [];
    await expect(
      (async () => {
        for await (const one of stream) got.push(one);
      })(),
    ).rejects.toMatchObject({ name: 'ProtocolError', requestId: 'r-1' });
    expect(got).toEqual([first]);
  },
);

test.each([
  ['text/html', '<html>'],
  ['application/json', '{"choices":[]}'],
])('a 200 of %s is a ProtocolError', async (type, text) => {
  const stream = await open(fakeFetch(new Response(text, { headers: { 'content-type': type } })));
  await expect(all(stream)).rejects.toMatchObject({ name: 'ProtocolError' });
});
