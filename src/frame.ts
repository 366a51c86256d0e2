/** What every response carries, and what is known of a request before anything is asked of it. */
import type { MiddlewareHandler } from 'hono';
import type { App } from './app.ts';
import type { Call } from './call.ts';
import { ServerTiming } from './server-timing.ts';
import { traceOf } from './trace.ts';
import { safeHeaders } from './web-safety.ts';

export function frame(): MiddlewareHandler<App> {
  return async function frame(c, next) {
    const requestId = requestIdOf(c.req.header('x-request-id'));
    const timing = new ServerTiming();
    const responseHeaders = { 'x-request-id': requestId };
    c.set('requestId', requestId);
    c.set('timing', timing);
    c.set('trace', traceOf(c.req.header('traceparent')));
    c.set('client', c.req.raw.signal);
    c.set('responseHeaders', responseHeaders);
    await next();
    const { headers } = c.res;
    if (headers.has('x-request-id')) return;
    for (const [name, value] of Object.entries(framed({ responseHeaders, timing }, {}))) {
      if (!headers.has(name)) headers.set(name, value);
    }
  };
}

/**
 * All headers of a response. Answers are made with them at once: on workerd each header that is set on a response
 * later costs as much as a small object, and a response that is wrapped to change it as much as ten.
 * @param own win over those that every response has
 */
export function framed(
  { responseHeaders, timing }: Pick<Call, 'responseHeaders' | 'timing'>,
  own: Record<string, string>,
): Record<string, string> {
  return { ...safeHeaders, ...responseHeaders, 'server-timing': timing.toString(), ...own };
}

/** A client's own id is taken only where it can do no harm in a log. */
function requestIdOf(shown: string | undefined): string {
  return shown !== undefined && /^[\w\-=]{1,64}$/.test(shown) ? shown : crypto.randomUUID();
}
