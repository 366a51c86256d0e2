/**
 * Names of responses: `resp_<conversation><response>`, 32 and 16 hexadecimal digits, both random. An answer to
 * `previous_response_id` has the conversation of that response, so that all of one conversation is found in one
 * Durable Object.
 */
import { randomHex } from '../hex.ts';

const shape = /^resp_([0-9a-f]{32})[0-9a-f]{16}$/;

export function isResponseId(id: string): boolean {
  return shape.test(id);
}

/** @param previous the response that this one goes on from */
export function newResponseId(previous?: string): string {
  const conversation = previous === undefined ? randomHex(16) : conversationOf(previous);
  return `resp_${conversation}${randomHex(8)}`;
}

/** @param id must be one. */
export function conversationOf(id: string): string {
  return shape.exec(id)![1]!;
}

export function newItemId(prefix: 'msg' | 'fc' | 'fco'): string {
  return `${prefix}_${randomHex(24)}`;
}
