import { describe, expect, it } from 'vitest';
import { traceOf, traceparent } from './trace.ts';

const id = '4bf92f3577b34da6a3ce929d0e0e4736';
const span = '00f067aa0ba902b7';

describe('a trace', () => {
  it.each([
    [`00-${id}-${span}-01`, '01'],
    [`00-${id}-${span}-00`, '00'],
    [`00-${id}-${span}-03`, '03'],
    [`cc-${id}-${span}-0b-what-will-be`, '01'],
    [`cc-${id}-${span}-0a`, '00'],
  ])('goes on: %s', (sent, flags) => {
    const trace = traceOf(sent);
    expect(trace).toMatchObject({ traceId: id, flags });
    expect(trace.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(trace.spanId).not.toBe(span);
    expect(traceparent(trace)).toBe(`00-${id}-${trace.spanId}-${flags}`);
  });

  it.each([
    undefined,
    '',
    'x',
    `00-${id}-${span}`,
    `00-${id}-${span}-01-more`,
    `ff-${id}-${span}-01`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${id}-${'0'.repeat(16)}-01`,
    `00-${id.toUpperCase()}-${span}-01`,
    `00-${id}-${span}-01\r\nx: y`,
    ` 00-${id}-${span}-01`,
  ])('begins anew after %j', (sent) => {
    const [one, other] = [traceOf(sent), traceOf(sent)];
    expect(one.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(one.traceId).not.toBe(id);
    expect(one.traceId).not.toBe(other.traceId);
    expect(one.flags).toBe('01');
  });
});
