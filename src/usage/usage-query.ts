/** `?from&to&group_by` of the usage reports. */
import * as z from 'zod/mini';
import { also, orString } from '../other-forms.ts';
import { validate } from '../validate.ts';
import { type Dimension, hourOf } from './usage-row.ts';

/** Unix seconds: the rows of all hours that [from, to) touches. */
export interface UsageQuery {
  from: number;
  to: number;
  dimensions: Dimension[];
}

const defaultSpanSeconds = 30 * 86_400;
const latest = 253_402_300_799;

/** Unix seconds, or a date and time as ISO 8601 has it. */
export const moment = z
  .pipe(
    z.transform((value: unknown) => {
      if (typeof value !== 'string') return value;
      if (/^\d{1,12}$/.test(value)) return Number(value);
      return /^\d{4}-\d\d-\d\d/.test(value) ? Math.floor(Date.parse(value) / 1000) : value;
    }),
    z.int('must be unix seconds or an ISO 8601 date.').check(z.nonnegative(), z.maximum(latest)),
  )
  .register(also, orString);

function query(allowed: readonly Dimension[]) {
  return z.strictObject({
    from: z.optional(moment),
    to: z.optional(moment),
    group_by: z._default(
      z.pipe(
        z.transform((value: unknown) =>
          typeof value === 'string' ? value.split(',').filter((part) => part !== '') : value,
        ),
        z.array(z.literal([...allowed])),
      ),
      [],
    ),
    key: z.optional(z.string()),
  });
}

export const admins = query(['key', 'model', 'hour', 'upstream']);
export const owners = z.omit(query(['model', 'hour', 'upstream']), { key: true });

/** @param params of the URL. Throws an EdgeError that names the field at fault. */
export function parseUsageQuery(params: Record<string, string>, now: number): UsageQuery {
  return range(validate(owners, params), now);
}

/** The admin's may also ask for one key, whose numbers are then up to the second. */
export function parseAdminUsageQuery(
  params: Record<string, string>,
  now: number,
): UsageQuery & { key: string | undefined } {
  const fields = validate(admins, params);
  return { ...range(fields, now), key: fields.key };
}

function range(
  fields: { from?: number | undefined; to?: number | undefined; group_by: Dimension[] },
  now: number,
): UsageQuery {
  const to = fields.to ?? Math.floor(now / 1000) + 1;
  return { from: hourOf((fields.from ?? to - defaultSpanSeconds) * 1000), to, dimensions: fields.group_by };
}
