import type { z } from 'zod';
import { type GenerateRequest, generateRequest, type Segment, tokenizeRequest } from '../protocol.ts';
import { ApiError } from './errors.ts';

type Issue = z.core.$ZodIssue;

/** The body of `POST /v1/generate`, or a 400 whose `param` names the first field that is wrong. */
export function parseGenerateRequest(body: unknown): GenerateRequest {
  return checkTogether(parse(generateRequest, body));
}

/** The same of `POST /v1/tokenize`. */
export function parseTokenizeRequest(body: unknown): { prompt: Segment[] } {
  return parse(tokenizeRequest, body);
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const { path, message } = locate(result.error.issues[0]!);
  const param = path.map(String).join('.');
  throw new ApiError(400, param ? `${param}: ${message}` : message, {
    ...(param ? { param } : {}),
    code: 'invalid_value',
  });
}

/** What no field is wrong about by itself. */
function checkTogether(request: GenerateRequest): GenerateRequest {
  const { events, echo = false, logprobs, format, continue_ids, n = 1 } = request;
  const chat = events.object === 'chat.completion';
  const refuse = (param: string, message: string) => {
    throw new ApiError(400, `${param}: ${message}`, { param, code: 'invalid_value' });
  };
  if (echo && chat) refuse('echo', 'Only completions have it');
  if (echo && logprobs !== undefined)
    refuse('echo', 'There are no logprobs of a prompt: ask for one of both');
  if (format?.type === 'tools' && !chat) refuse('format', 'Only chats call tools');
  if (continue_ids && n > 1) refuse('continue_ids', 'Only a single choice can go on');
  return request;
}

/** A union fails at its root: the branch with the fewest complaints is the one that was meant. */
function locate(issue: Issue): { path: PropertyKey[]; message: string } {
  if (issue.code === 'invalid_union') {
    const [meant, next] = [...issue.errors].sort((a, b) => a.length - b.length);
    if (meant?.[0] && meant.length < (next?.length ?? Number.POSITIVE_INFINITY)) {
      const inner = locate(meant[0]);
      return { path: [...issue.path, ...inner.path], message: inner.message };
    }
  }
  if (issue.code === 'unrecognized_keys') {
    return { path: [...issue.path, ...issue.keys.slice(0, 1)], message: 'Unknown field' };
  }
  return { path: issue.path, message: issue.message };
}
