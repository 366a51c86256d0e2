import fc from 'fast-check';
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

it('counts the answer of each choice, the prompt once', () => {
  expect(tokenBound(renderText(''), 10, 4_096, 3)).toBe(1 + 3 * 10);
});

it('is never less than what nodes let a request use', () => {
  const size = fc.integer({ min: 1, max: 200 });
  const request = fc.record({
    bytes: size,
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    maxTokens: size,
  });
  fc.assert(
    fc.property(request, size, fc.integer({ min: 1, max: 8 }), ({ bytes, share, maxTokens }, context, n) => {
      const prompt = renderText('x'.repeat(bytes));
      const real = Math.max(1, Math.floor(share * (bytes + 2)));
      if (real >= context) return;
      // Each choice ends at max_tokens, or where prompt and answer fill the context.
      const used = real + n * Math.min(maxTokens, context - real);
      expect(tokenBound(prompt, maxTokens, context, n)).toBeGreaterThanOrEqual(used);
    }),
    { numRuns: 2_000 },
  );
});
