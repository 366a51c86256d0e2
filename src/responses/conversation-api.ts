/** What the worker asks of a conversation's Durable Object. Types alone, as in keys/key-api.ts. */
import type { ResponseStatus } from './response-object.ts';

/** What is kept of a response. `json` texts are small enough for one value, see `longestKept`. */
export interface NewResponse {
  id: string;
  previous: string | null;
  /** See Place. */
  answer: string | null;
  /** The response object as it stands, without its output. */
  json: string;
  /** Its own input items, as a JSON list. */
  input: string;
}

export type History =
  /** Lists of items as JSON, oldest first. */
  | { items: string[] }
  /** `full`: the conversation holds as much as one may. */
  | { refusal: 'not_found' | 'unfinished' | 'ancestor_deleted' | 'full' };

/** Of a response that is there. */
export interface Place {
  /** The name of the answer that makes it, or made it, see ../streams; null where it is not in the background. */
  answer: string | null;
}

export interface ConversationApi {
  /** All that was said up to and with the response `id`. */
  history(id: string): History;
  begin(response: NewResponse): void;
  /** How it stands now: one that was cancelled stays so; undefined for one that was deleted. */
  end(
    id: string,
    standing: { status: ResponseStatus; json: string; output: string },
  ): ResponseStatus | undefined;
  /** The response object as JSON. */
  read(id: string): string | undefined;
  input(id: string): string | undefined;
  place(id: string): Place | undefined;
  remove(id: string): Place | undefined;
  /** False where it was not being made any more; undefined where there is none. */
  cancel(id: string): Place | false | undefined;
}

/** Bytes of one stored value: an object of Cloudflare's takes 2 MB with its key. */
export const longestKept = 1_900_000;
