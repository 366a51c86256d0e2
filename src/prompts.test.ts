/** PROMPTS.md says what the model reads: every request in it makes the prompt that stands below it. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseChatRequest } from './chat-request.ts';
import { renderChat } from './chatml.ts';

const page = readFileSync(new URL('PROMPTS.md', import.meta.url), 'utf8');
const pairs = [...page.matchAll(/```json\n(.*?)\n```\s+```text\n(.*?)\n```/gs)];
const names = { bos: '<s>', begin: '<|beginofutterance|>', end: '<|endofutterance|>' };

it.each(pairs.map(([, request, prompt]) => [request!, prompt!]))('%.60s', (request, prompt) => {
  const { turns, ending } = parseChatRequest({ model: 'huozi', ...JSON.parse(request) });
  const text = renderChat(turns, ending)
    .map((segment) => ('text' in segment ? segment.text : names[segment.control]))
    .join('');
  expect(text).toBe(prompt);
});

it('no block stands alone', () => {
  expect(pairs.length).toBe(4);
  expect(page.match(/```\w/g)!.length).toBe(8);
});
