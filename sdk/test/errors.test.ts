import { expect, test } from 'vitest';
import * as errors from '../src/errors.ts';

const { errorFromBody, HuoziError, RateLimitError, RequestError, ServerError, TimeoutError } = errors;

const wire = (error: object) => ({ error: { message: 'm', type: 't', param: null, code: null, ...error } });
const none = new Headers();

test.each([
  [400, RequestError, false],
  [401, RequestError, false],
  [404, RequestError, false],
  [408, RequestError, true],
  [409, RequestError, false],
  [429, RateLimitError, true],
  [500, ServerError, true],
  [501, ServerError, false],
  [503, ServerError, true],
])('a %i is a %o, retryable: %s', (status, kind, isRetryable) => {
  const error = errorFromBody(wire({}), none, status);
  expect(error).toBeInstanceOf(kind);
  expect(error).toMatchObject({ status, isRetryable, message: 'm', type: 't' });
});

test.each([
  [{ type: 'server_error' }, ServerError, true],
  [{ type: 'invalid_request_error' }, RequestError, false],
  [{ type: 'rate_limit_error' }, RateLimitError, true],
  [{ type: 'rate_limit_exceeded' }, RateLimitError, true],
  [{ type: 'BadRequestError', code: 400 }, RequestError, false],
  [{ code: 503 }, ServerError, true],
  [{ code: 7 }, ServerError, true],
])('inside a stream %o is told by its body', (error, kind, isRetryable) => {
  const got = errorFromBody(wire(error), none);
  expect(got).toBeInstanceOf(kind);
  expect(got).toMatchObject({ status: undefined, isRetryable });
});

test('carries what body and headers say', () => {
  const headers = new Headers({ 'x-request-id': 'r-1', 'retry-after': '3', 'x-should-retry': 'false' });
  const error = errorFromBody(
    wire({ message: 'too hot', type: 'x', param: 'temperature', code: 'range' }),
    headers,
    429,
  );
  expect({ ...error }).toEqual({
    name: 'RateLimitError',
    status: 429,
    type: 'x',
    code: 'range',
    param: 'temperature',
    requestId: 'r-1',
    retryAfter: 3,
    isRetryable: false,
  });
  expect(error.message).toBe('too hot');
});

// What servers and proxies send in the place of OpenAI's shape.
test.each([
  [undefined, 'Server failed: 502'],
  [null, 'Server failed: 502'],
  ['<html>', 'Server failed: 502'],
  [[], 'Server failed: 502'],
  [{ error: 'no such model' }, 'no such model'],
  [{ error: null, message: 'vLLM of old', type: 'x' }, 'vLLM of old'],
  [{ error: { message: { not: 'text' }, type: 3, param: 4 } }, 'Server failed: 502'],
])('a body of %o', (body, message) => {
  const error = errorFromBody(body, none, 502);
  expect(error.message).toBe(message);
  expect(error.type).toMatch(/^(api_error|x)$/);
  expect(error.param).toBeNull();
});

test('each class knows its own, by name', () => {
  const kinds = Object.values(errors).filter((value) => Object(value).prototype instanceof HuoziError);
  expect(kinds).toHaveLength(8);
  for (const Kind of kinds as (typeof HuoziError)[]) {
    const error = new Kind('m');
    expect(error.name).toBe(Kind.name);
    expect(error.type).toBe(Kind.name.replace('Error', '_error').replace('RateL', 'rate_l').toLowerCase());
    expect(HuoziError.isInstance(error)).toBe(true);
    expect(kinds.filter((other) => (other as typeof HuoziError).isInstance(error))).toEqual([Kind]);
  }
});

test('isInstance survives two copies of the package', async () => {
  const copy = (await import('../src/errors.ts?copy' as string)) as typeof errors;
  const error = new copy.TimeoutError('m', { code: 'idle' });
  expect(error).not.toBeInstanceOf(HuoziError);
  expect(HuoziError.isInstance(error)).toBe(true);
  expect(TimeoutError.isInstance(error)).toBe(true);
  expect(RequestError.isInstance(error)).toBe(false);
});

test.each([undefined, null, 'TimeoutError', new Error('m'), { name: 'TimeoutError' }])(
  '%o is no instance',
  (value) => {
    expect(HuoziError.isInstance(value)).toBe(false);
    expect(TimeoutError.isInstance(value)).toBe(false);
  },
);
