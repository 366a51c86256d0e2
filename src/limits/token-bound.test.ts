import { expect, it } from 'vitest';
import { renderChat, renderText } from '../chatml.ts';
import { tokenBound } from './token-bound.ts';

const turns = (text: string) => renderChat([{ speaker: '用户', text }]);

it.each([
  ['counts bytes, prefix spaces and control tokens', turns('你好'), 10, 28 + 10],
  ['counts bytes of what lies outside the basic plane', turns('🀄'), 10, 26 + 10],
  ['is one for an empty prompt', renderText(''), 10, 1 + 10],
  ['takes the nodes’ default where no number is given', renderText(''), undefined, 1 + 2_048],
  ['ends at the context', turns('x'.repeat(10_000)), 10, 4_096],
])('%s', (_name, prompt, maxTokens, expected) => {
  expect(tokenBound(prompt, maxTokens, 4_096)).toBe(expected);
});
