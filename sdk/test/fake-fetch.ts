/** A `fetch` without a network: what the bytes are and where they are cut is the test's choice. */
import { events } from './answers.ts';

export interface FakeFetch {
  fetch: typeof fetch;
  /** Of each request: what it sent, and the signal that closes its connection. */
  requests: { url: string; headers: Headers; body: unknown; signal: AbortSignal }[];
}

type Answer = Response | (() => Response | Promise<Response>);

/** Gives one answer a request, the last one again and again. */
export function fakeFetch(...answers: Answer[]): FakeFetch {
  const requests: FakeFetch['requests'] = [];
  return {
    requests,
    fetch: async (url, init) => {
      const { headers, body, signal } = init!;
      const count = requests.push({
        url: String(url),
        headers: new Headers(headers),
        body: body ? JSON.parse(String(body)) : undefined,
        signal: signal!,
      });
      const answer = answers[Math.min(count, answers.length) - 1]!;
      return typeof answer === 'function' ? await answer() : answer;
    },
  };
}

const bytes = new TextEncoder();

/** An event stream of these pieces; `hang` leaves it open after them, until it is cancelled. */
export function sse(
  pieces: Iterable<string | Uint8Array> = events,
  options: { hang?: boolean } = {},
): () => Response {
  return () => {
    const queue = [...pieces];
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const piece = queue.shift();
        if (piece !== undefined) controller.enqueue(typeof piece === 'string' ? bytes.encode(piece) : piece);
        else if (!options.hang) controller.close();
      },
    });
    return new Response(body, {
      headers: { 'content-type': 'text/event-stream', 'x-request-id': 'r-1' },
    });
  };
}

export const json = (value: unknown, init?: ResponseInit) => (): Response =>
  new Response(JSON.stringify(value), {
    ...init,
    headers: { 'content-type': 'application/json', 'x-request-id': 'r-1', ...init?.headers },
  });

/** Never answers, and takes no notice of its signal. */
export const never = (): Promise<Response> => new Promise(() => {});
