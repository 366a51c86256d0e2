/** Bodies and queries of the admin API, validated. */
import * as z from 'zod/mini';
import { type KeySettings, scopes } from '../keys/key-record.ts';
import { pageLimit } from '../page-limit.ts';
import { moment } from '../usage/usage-query.ts';
import { validate } from '../validate.ts';

const amount = z.optional(z.nullable(z.int().check(z.nonnegative())));
/** A limit that is absent or null is none. */
const limits = z.strictObject({
  requests_per_minute: amount,
  tokens_per_minute: amount,
  concurrent: amount,
  tokens_per_day: amount,
  tokens_per_month: amount,
});

const name = z.string().check(z.minLength(1), z.maxLength(128));
const models = z.array(z.string().check(z.minLength(1), z.maxLength(128))).check(z.maxLength(100));
const scopeList = z.array(z.literal([...scopes])).check(z.minLength(1));
const labels = z.record(z.string().check(z.maxLength(64)), z.string().check(z.maxLength(256)));

const fields = {
  limits: z.optional(limits),
  models: z.optional(models),
  scopes: z.optional(scopeList),
  labels: z.optional(labels),
  expires_at: z.optional(moment),
};

export const newKey = z.strictObject({ name, ...fields });
/** Null takes a setting back to what it is without. */
export const keyChange = z.strictObject({
  name: z.optional(name),
  limits: z.optional(z.nullable(limits)),
  models: z.optional(z.nullable(models)),
  scopes: z.optional(z.nullable(scopeList)),
  labels: z.optional(z.nullable(labels)),
  expires_at: z.optional(z.nullable(moment)),
});

const longestOverlap = 30 * 86_400;
export const rotation = z.strictObject({
  overlap_seconds: z._default(z.int().check(z.nonnegative(), z.maximum(longestOverlap)), 0),
});

export const page = z.strictObject({
  limit: pageLimit,
  after: z.optional(z.string()),
  name: z.optional(z.string()),
});

export function parseNewKey(json: unknown): KeySettings {
  const { name, ...rest } = validate(newKey, json);
  return {
    name,
    limits: withoutNulls(rest.limits ?? {}),
    models: rest.models ?? null,
    scopes: rest.scopes ?? null,
    labels: rest.labels ?? {},
    expires_at: rest.expires_at ?? null,
  };
}

/** Only what the body names; `limits` change one by one. */
export function parseKeyChange(json: unknown, current: KeySettings): Partial<KeySettings> {
  const change = validate(keyChange, json, { nulls: 'kept' });
  const { name, limits, labels, models, scopes, expires_at } = change;
  return {
    ...(name !== undefined && { name }),
    ...(limits !== undefined && { limits: limits ? withoutNulls({ ...current.limits, ...limits }) : {} }),
    ...(labels !== undefined && { labels: labels ?? {} }),
    ...(models !== undefined && { models }),
    ...(scopes !== undefined && { scopes }),
    ...(expires_at !== undefined && { expires_at }),
  };
}

export function parseRotation(json: unknown): { overlap_seconds: number } {
  return validate(rotation, json);
}

export function parsePage(params: Record<string, string>) {
  return validate(page, params);
}

function withoutNulls<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], null> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null)) as never;
}
