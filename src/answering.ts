/** The requests that a model answers, by path. */
import type { Call } from './call.ts';
import { parseChatRequest } from './chat-request.ts';
import { renderChat, renderText } from './chatml.ts';
import { parseCompletionRequest } from './completion-request.ts';
import { complete } from './completions.ts';
import { createResponse } from './responses/responses.ts';
import type { AnsweredPath } from './streams/stream-api.ts';
import { shortening } from './truncation.ts';

/** Each throws an EdgeError as long as nothing of the answer has been sent. */
export const answering = {
  async '/v1/chat/completions'(call: Call, body: unknown) {
    const request = parseChatRequest(body);
    const shape = {
      object: 'chat.completion',
      role: request.role,
      promptField: 'messages',
      shorten: request.truncation === 'auto' ? shortening(request) : undefined,
    } as const;
    return complete(call, request, renderChat(request.turns, request.ending), shape);
  },
  async '/v1/completions'(call: Call, body: unknown) {
    const request = parseCompletionRequest(body);
    const shape = { object: 'text_completion', role: 'assistant', promptField: 'prompt' } as const;
    return complete(call, request, renderText(request.prompt), shape);
  },
  '/v1/responses': createResponse,
} satisfies Record<AnsweredPath, (call: Call, body: unknown) => Promise<Response>>;
