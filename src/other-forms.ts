/**
 * What a schema takes beside what it says of itself: some begin with a transform that makes one form of two, which
 * nothing but its code knows. Told here, beside the schema, for the document that is made of it (openapi/).
 */
import * as z from 'zod/mini';

interface Also {
  /** JSON Schema of the other form. */
  also?: Record<string, unknown>;
  /** Properties that need not be there. */
  optional?: string[];
}

export const also = z.registry<Also>();

/** A string stands for a list of it, or for something longer. */
export const orString: Also = { also: { type: 'string' } };
