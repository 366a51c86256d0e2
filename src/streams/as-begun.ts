/** What is told at once of a response in the background whose events nobody has asked for. */
import { EdgeError } from '../errors.ts';

/** The response as it stood when it began, which its first event holds. */
export async function asBegun(events: Response): Promise<Response> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const bytes of events.body!) {
    text += decoder.decode(bytes, { stream: true });
    const [, first] = /^data: (.*)\n\n/m.exec(text) ?? [];
    const response = first && JSON.parse(first).response;
    if (!response) continue;
    const headers = new Headers(events.headers);
    headers.set('content-type', 'application/json');
    return new Response(JSON.stringify(response), { headers });
  }
  // It was interrupted before anything was told of it.
  throw new EdgeError({ kind: 'stream_interrupted' });
}
