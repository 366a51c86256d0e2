import * as z from 'zod/mini';

/** `?limit=` of lists: how many things a page has. */
export const pageLimit = z._default(
  z.pipe(
    z.transform((value: unknown) =>
      typeof value === 'string' && /^\d{1,4}$/.test(value) ? Number(value) : value,
    ),
    z.int().check(z.minimum(1), z.maximum(100)),
  ),
  20,
);
