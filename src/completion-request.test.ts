import { describe, expect, it } from 'vitest';
import { parseCompletionRequest } from './completion-request.ts';
import { refusal } from './testing/refusal.ts';

describe('text completions', () => {
  it('take a prompt, or a list of one', () => {
    expect(parseCompletionRequest({ model: 'huozi', prompt: '从前' })).toMatchObject({
      prompt: '从前',
      maxTokens: 16,
    });
    expect(parseCompletionRequest({ model: 'huozi', prompt: ['从前'], max_tokens: 3 })).toMatchObject({
      prompt: '从前',
      maxTokens: 3,
    });
  });

  it.each([
    [{ echo: true }, { options: { echo: true } }],
    [{ logprobs: 3 }, { options: { logprobs: 3 } }],
    [{ logprobs: 0 }, { options: { logprobs: 0 } }],
    [{ n: 2, best_of: 2 }, { options: { n: 2 } }],
  ])('honour %j', (fields, expected) => {
    expect(parseCompletionRequest({ model: 'huozi', prompt: '从前', ...fields })).toMatchObject(expected);
  });

  it.each([
    [{ best_of: 3 }, 'best_of'],
    [{ logprobs: true }, 'logprobs'],
    [{ echo: true, logprobs: 0 }, 'echo'],
    [{ suffix: 'x' }, 'suffix'],
    [{ max_tokens: 0 }, 'max_tokens'],
  ])('refuse %j', (fields, param) => {
    expect(refusal(parseCompletionRequest, { model: 'huozi', prompt: '', ...fields })).toMatchObject({
      param,
    });
  });

  it.each([[['a', 'b']], [[1, 2]], [[[1]]], [5], [undefined]])('refuse %j by name', (prompt) => {
    expect(refusal(parseCompletionRequest, { model: 'huozi', prompt })).toMatchObject({ param: 'prompt' });
  });
});
