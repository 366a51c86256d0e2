/** W3C Trace Context, as far as a log needs it. */

/** The trace's id and the span's that asked; of a malformed header nothing. */
export function traceFields(traceparent: string | undefined): { trace_id?: string; parent_id?: string } {
  const [, trace_id, parent_id] =
    /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(traceparent ?? '') ?? [];
  return trace_id && parent_id ? { trace_id, parent_id } : {};
}
