/** Fields that are known, and taken only where they ask for nothing. */
import * as z from 'zod/mini';

/** Accepted where it asks for nothing, refused otherwise. */
export function idle(asksForNothing: (value: unknown) => boolean, error: string) {
  return z.optional(z.custom(asksForNothing, error));
}

/** Says something about the request, changes nothing about the answer. */
export const label = z.optional(z.string());

export const isEmptyArray = (value: unknown) => Array.isArray(value) && value.length === 0;
export const isObject = (value: unknown) =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
