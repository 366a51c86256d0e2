/** What the worker asks of a conversation's Durable Object. Types alone, as in keys/key-api.ts. */
import type { ResponseStatus } from './response-object.ts';

/** What is kept of a response. `json` texts are small enough for one value, see `longestKept`. */
export interface NewResponse {
  id: string;
  previous: string | null;
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
  /** False where there is none. */
  remove(id: string): boolean;
  /** Whether it was being made; undefined where there is none. */
  cancel(id: string): boolean | undefined;
}

/** Bytes of one stored value: an object of Cloudflare's takes 2 MB with its key. */
export const longestKept = 1_900_000;
