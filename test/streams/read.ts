/** A reader of a resumable stream that checks each event's number and may leave after any of them. */
export interface Reader {
  baseURL: string;
  apiKey: string;
}

export interface Told {
  /** Whole events as they came, without comments. */
  events: string[];
  done: boolean;
}

/** Asks for the answer; gives its stream's path and its body, unread. */
export async function begin(to: Reader, body: object, signal?: AbortSignal): Promise<[string, Response]> {
  const response = await fetch(`${to.baseURL}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${to.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'huozi', stream: true, resumable: true, ...body }),
    ...(signal && { signal }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return [response.headers.get('x-huozi-stream')!, response];
}

export function goOn(to: Reader, stream: string, after: number, signal?: AbortSignal): Promise<Response> {
  return fetch(new URL(stream, to.baseURL), {
    headers: { authorization: `Bearer ${to.apiKey}`, 'last-event-id': String(after) },
    ...(signal && { signal }),
  });
}

/**
 * Adds to `told` until the end, or until it has `upTo` events; then the caller cuts the connection. What comes after
 * that is not read. Throws where an event has another number than the one after the last.
 */
export async function read(response: Response, told: Told, upTo = Number.POSITIVE_INFINITY): Promise<void> {
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  if (told.events.length >= upTo) return;
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of response.body!) {
    rest += decoder.decode(bytes, { stream: true });
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const event = rest.slice(0, end + 2);
      rest = rest.slice(end + 2);
      if (event.startsWith(': ping')) continue;
      const number = Number(/^id: (\d+)\n/m.exec(event)?.[1]);
      if (number !== told.events.length + 1) {
        throw new Error(`event ${told.events.length + 1} was to come, and not ${JSON.stringify(event)}`);
      }
      told.events.push(event);
      told.done = event.endsWith('data: [DONE]\n\n');
      if (told.events.length >= upTo) return;
    }
  }
}

export function textOf(events: readonly string[]): string {
  const chunks = events.filter((event) => !event.includes('[DONE]'));
  return chunks
    .map((event) => JSON.parse(/^data: (.*)$/m.exec(event)![1]!).choices[0]?.delta.content ?? '')
    .join('');
}
