/** A request body against its schema: the value, or a 400 that names the first field at fault. */
import type * as z from 'zod/mini';
import { EdgeError, refuse } from './errors.ts';
import { knownGood } from './known-good.ts';

/** Longest piece of the client's own words (a field's name, a role) that an error repeats. */
const longestEcho = 64;

/** @param nulls OpenAI's optional fields may all be null, which asks for the default; `kept` where it asks for more */
export function validate<S extends z.ZodMiniType>(
  schema: S,
  body: unknown,
  { nulls = 'dropped' }: { nulls?: 'dropped' | 'kept' } = {},
): z.output<S> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new EdgeError({ kind: 'invalid_json', message: 'The request body must be a JSON object.' });
  }
  const given = nulls === 'kept' ? body : withoutNulls(body);
  const known = knownGood(schema, given);
  if (known !== undefined) return known as z.output<S>;
  const result = schema.safeParse(given, { error: describe });
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  // An unknown field is reported at its parent.
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
  const param = path.map((part) => echo(String(part))).join('.');
  return refuse(param, issue.message);
}

/** What stands where one of several words should, for an error that says so. */
export function typeName(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(echo(value)) : `of type ${typeof value}`;
}

function echo(text: string): string {
  return text.length > longestEcho ? `${text.slice(0, longestEcho)}…` : text;
}

function withoutNulls(body: object): object {
  // A body of a hundred thousand unknown fields is not copied to be refused.
  if (!Object.values(body).includes(null)) return body;
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}

/** zod/mini brings no messages of its own. Those given in a schema come before these. */
function describe(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'unrecognized_keys':
      return 'this field is not known here.';
    case 'invalid_type':
      return issue.input === undefined ? 'this field is required.' : `must be of type ${issue.expected}.`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}.`;
    case 'too_small':
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unit(issue.origin)}.`;
    case 'too_big':
      return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unit(issue.origin)}.`;
    default:
      return 'is not valid.';
  }
}

function unit(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' ? ' items long' : '';
}
