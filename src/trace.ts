/** W3C Trace Context: an answer's place in the trace that its client may have begun. */
import { randomHex } from './hex.ts';

export interface Trace {
  /** 32 hexadecimal digits, the client's where it sent one. */
  traceId: string;
  /** Of the edge's own part: 16 hexadecimal digits, never the client's. */
  spanId: string;
  /** Two hexadecimal digits. */
  flags: string;
}

/** Version 00; of later versions the part that 00 has as well. */
const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** @param traceparent of the request. One that is malformed counts as absent: a trace of its own begins. */
export function traceOf(traceparent: string | undefined): Trace {
  const spanId = randomHex(8);
  const [, version, traceId, parentId, flags, more] = shape.exec(traceparent ?? '') ?? [];
  const valid =
    version !== undefined &&
    version !== 'ff' &&
    !(version === '00' && more !== undefined) &&
    /[^0]/.test(traceId!) &&
    /[^0]/.test(parentId!);
  // Sampled, because the log has it.
  if (!valid) return { traceId: randomHex(16), spanId, flags: '01' };
  return { traceId: traceId!, spanId, flags: version === '00' ? flags! : sampled(flags!) };
}

/** To be sent on, to whoever works for this part. */
export function traceparent({ traceId, spanId, flags }: Trace): string {
  return `00-${traceId}-${spanId}-${flags}`;
}

/** The one flag that is known of versions to come. */
function sampled(flags: string): string {
  return Number.parseInt(flags, 16) & 1 ? '01' : '00';
}
