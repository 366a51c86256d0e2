/**
 * A streamed answer: the node's bytes become the client's, in whole events, from as many legs as it takes.
 *
 * A JavaScript loop and not `pipeTo`, because the native pipe destroys its writable when the node's connection is
 * reset, and then nothing more can be told to the client (workerd, 24 of 24 times). Who would rather save the CPU
 * time asks for the pipe: lean.ts.
 */
import { ClientStream } from './client-stream.ts';
import { errorEvent, type Problem } from './errors.ts';
import { isPing } from './event-bytes.ts';
import { type Exchange, problemOf } from './exchange.ts';
import { framed } from './frame.ts';
import type { Kept } from './kept.ts';
import { passOn } from './lean.ts';
import type { Leg } from './leg.ts';
import { meter } from './meter.ts';

const encoder = new TextEncoder();
const ping = encoder.encode(': ping\n\n');
const migrated = encoder.encode(': migrated\n\n');
/** Milliseconds. */
const longestSettling = 1_000;
const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  // nginx would hold events back.
  'x-accel-buffering': 'no',
};

export function relay(exchange: Exchange, first: Leg): Response {
  const { kept } = exchange.call;
  if (kept) {
    exchange.call.waitUntil(pump(exchange, first, kept));
    return new Response(null, { headers });
  }
  const client = new ClientStream(ping, () => exchange.left.abort());
  exchange.call.waitUntil(pump(exchange, first, client));
  return new Response(client.readable, { headers: framed(exchange.call, headers) });
}

/** Settles when the answer is metered, or is to go on later. */
export async function pump(exchange: Exchange, first: Leg, client: ClientStream | Kept): Promise<void> {
  const { kept } = exchange.call;
  let leg = first;
  let firstEventAt: number | undefined;
  let metered: Promise<void> | undefined;
  const told = exchange.retell?.();
  const lean = exchange.call.env.RELAY === 'lean' && !told && client instanceof ClientStream;
  if (told) client.write(encoder.encode(told.begin()));
  const meterLeg = (problem?: Problem) =>
    meter(exchange.call, { ...exchange.answer, stream: true, firstEventAt, leg, problem });
  for (;;) {
    for (let events = await leg.read(); events; events = await leg.read()) {
      if (firstEventAt === undefined && !isPing(events)) firstEventAt = Date.now();
      // In the same turn that lets the client see the end, so that its next request finds its limits settled.
      if (leg.end === 'done') metered = meterLeg();
      const full = client.write(told && !isPing(events) ? encoder.encode(told.add(events)) : events);
      if (full) await full;
      if (lean && firstEventAt !== undefined && leg.end === 'lost') {
        return passOn(exchange, leg, client, firstEventAt);
      }
    }
    const next = leg.end === 'done' ? undefined : await exchange.another(leg);
    if (!next) break;
    leg = next;
    // For whoever looks closely: a comment, which clients skip.
    if (firstEventAt !== undefined) client.write(migrated);
  }
  const problem = problemOf(leg, exchange);
  if (kept?.ending(problem, exchange.stranded)) return exchange.answer.reservation.letGo();
  if (told) client.write(encoder.encode(await told.end(problem)));
  else if (problem) client.write(encoder.encode(errorEvent(problem)));
  metered ??= kept && meterLeg(problem);
  // What is kept as ended must have been settled, as far as waiting for it helps.
  if (kept) await Promise.race([metered, new Promise((resolve) => setTimeout(resolve, longestSettling))]);
  await client.end();
  await (metered ?? meterLeg(problem));
}
