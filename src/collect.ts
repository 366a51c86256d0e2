/**
 * An answer in one piece. The node streams it all the same, so that the edge learns at once that it was accepted,
 * hears a node die, and can start over on another one: nothing has been shown yet.
 *
 * If it takes longer than a moment the 200 goes out and blanks follow, which may stand before any JSON. They keep
 * proxies from cutting the connection, and they are how a client's leaving shows: workerd reports a plain close
 * only after a write. An answer that fails after that is an error object under a 200: the body cannot be cut short,
 * because workerd ends a chunked one properly whatever happens to its stream.
 */
import { Answer } from './answer.ts';
import { ClientStream } from './client-stream.ts';
import { EdgeError, errorBody, type Problem } from './errors.ts';
import { isPing } from './event-bytes.ts';
import { type Exchange, problemOf } from './exchange.ts';
import { framed } from './frame.ts';
import type { Leg } from './leg.ts';
import { meter } from './meter.ts';
import { setMoveHeaders } from './moves.ts';

/** So long a failure still gets its status. */
const commitMs = 80;
const encoder = new TextEncoder();
const blank = encoder.encode(' ');
const headers = { 'content-type': 'application/json' };

export async function collect(exchange: Exchange, first: Leg): Promise<Response> {
  const { call, left } = exchange;
  const outcome = gather(exchange, first);
  // Also when the client leaves before the response has begun, which ends everything that is not waited for.
  call.waitUntil(outcome);
  const early = await Promise.race([outcome, moment()]);
  setMoveHeaders(call.responseHeaders, exchange.answer.moves);
  if (typeof early === 'string') return new Response(early, { headers: framed(call, headers) });
  if (early) throw new EdgeError(early);

  const { kept } = call;
  const client = kept ? undefined : new ClientStream(blank, () => left.abort());
  client?.probe();
  call.waitUntil(
    outcome.then((end) => {
      const to = client ?? kept!;
      kept?.ending(typeof end === 'string' ? undefined : end, false);
      to.write(encoder.encode(typeof end === 'string' ? end : JSON.stringify(errorBody(end))));
      return to.end();
    }),
  );
  return new Response(client?.readable ?? null, { headers: framed(call, headers) });
}

/** The body, or why there is none. Metered either way. */
async function gather(exchange: Exchange, first: Leg): Promise<string | Problem> {
  const { call, answer, another } = exchange;
  const told = exchange.retell?.();
  let body = told ?? new Answer();
  const startOver = () => {
    body = new Answer();
  };
  let leg = first;
  let firstEventAt: number | undefined;
  for (;;) {
    for (let events = await leg.read(); events; events = await leg.read()) {
      if (firstEventAt === undefined && !isPing(events)) firstEventAt = Date.now();
      body.add(events);
    }
    const next = leg.end === 'done' ? undefined : await another(leg, told ? undefined : startOver);
    if (!next) break;
    leg = next;
  }
  const broken: Problem | undefined = body.whole ? undefined : { kind: 'upstream_error' };
  const problem = problemOf(leg, exchange) ?? broken;
  call.waitUntil(meter(call, { ...answer, stream: false, firstEventAt, leg, problem }));
  await told?.end(problem);
  return problem ?? JSON.stringify(body);
}

function moment(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, commitMs));
}
