/** A response in the background whose worker was lost goes on: all that it takes stands in what was told of it. */
import type { Call } from '../call.ts';
import { keeper } from './conversations.ts';
import { ResponseEvents, type ToldEvent } from './response-events.ts';
import { type ResponseObject, settingsIn } from './response-object.ts';

/**
 * @param role of the answer
 * @param stream its events so far
 */
export function takeUp(call: Call, role: string, stream: string): ResponseEvents {
  const events = [...stream.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!));
  const [{ response }] = events as [{ response: ResponseObject }];
  const settings = settingsIn(response);
  const told = new ResponseEvents(settings, role, keeper(call, settings));
  told.takeUp(events as ToldEvent[]);
  return told;
}
