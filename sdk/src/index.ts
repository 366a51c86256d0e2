export type { ChatCompletions } from './chat-completions.ts';
export type * from './chat-types.ts';
export { Huozi, type HuoziOptions } from './client.ts';
export type { Completion, CompletionCreateParams, CompletionStream, Completions } from './completions.ts';
export {
  AbortError,
  ConnectionError,
  HuoziError,
  ProtocolError,
  RateLimitError,
  RequestError,
  ServerError,
  TimeoutError,
  TruncatedError,
} from './errors.ts';
export type { Model, ModelList, Models } from './models.ts';
export type { Deadlines, RequestOptions } from './options.ts';
export type { Budget, RateLimit } from './rate-limit.ts';
export type { WithRequestId } from './requester.ts';
export type { ChatStream, HuoziStream } from './stream.ts';
