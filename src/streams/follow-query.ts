/** The query of `GET /v1/streams/{id}`. */
import * as z from 'zod/mini';

export const followQuery = z.strictObject({
  /** Number of the last event that the reader has; goes before `Last-Event-ID`. */
  after: z.optional(z.string()),
});
