/** A small answer in the wire's shape, whole and in chunks. */
import type { ChatCompletionChunk, ChatCompletionDelta, FinishReason } from '../src/index.ts';

export const text = '你好，世界';

export function chunk(delta: ChatCompletionDelta, finish: FinishReason | null = null): ChatCompletionChunk {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'huozi',
    choices: [{ index: 0, delta, finish_reason: finish }],
  };
}

export const first = chunk({ role: 'assistant', content: '你好' });
export const second = chunk({ content: '，世界' });
export const last = chunk({}, 'stop');
export const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
export const usageChunk: ChatCompletionChunk = { ...chunk({}), choices: [], usage };

/** What an edge sends: role with the first text, text, finish, usage, `[DONE]`. */
export const events = [first, second, last, usageChunk, '[DONE]'].map(
  (data) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`,
);
