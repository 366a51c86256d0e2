/**
 * A streamed answer: the node's bytes become the client's, in whole events, from as many legs as it takes.
 *
 * A JavaScript loop and not `pipeTo`, because the native pipe destroys its writable when the node's connection is
 * reset, and then nothing more can be told to the client (workerd, 24 of 24 times).
 */
import { ClientStream } from './client-stream.ts';
import { errorEvent, type Problem } from './errors.ts';
import { isPing } from './event-bytes.ts';
import type { Exchange } from './exchange.ts';
import type { Leg } from './leg.ts';
import { meter } from './meter.ts';

const encoder = new TextEncoder();
const ping = encoder.encode(': ping\n\n');
const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  // nginx would hold events back.
  'x-accel-buffering': 'no',
};

export function relay(exchange: Exchange, first: Leg): Response {
  const client = new ClientStream(ping, () => exchange.left.abort());
  exchange.call.waitUntil(pump(exchange, first, client));
  return new Response(client.readable, { headers });
}

async function pump(exchange: Exchange, first: Leg, client: ClientStream): Promise<void> {
  let leg = first;
  let firstEventAt: number | undefined;
  let metered: Promise<void> | undefined;
  const told = exchange.retell?.();
  if (told) client.write(encoder.encode(told.begin()));
  const meterLeg = () => meter(exchange.call, { ...exchange.answer, stream: true, firstEventAt, leg });
  for (;;) {
    for (let events = await leg.read(); events; events = await leg.read()) {
      if (firstEventAt === undefined && !isPing(events)) firstEventAt = Date.now();
      // In the same turn that lets the client see the end, so that its next request finds its limits settled.
      if (leg.end === 'done') metered = meterLeg();
      const full = client.write(told && !isPing(events) ? encoder.encode(told.add(events)) : events);
      if (full) await full;
    }
    // A node that is lost before its first event has shown the client nothing: another may take its place.
    const next = leg.end === 'lost' && firstEventAt === undefined ? await exchange.another(leg) : undefined;
    if (!next) break;
    leg = next;
  }
  if (told) client.write(encoder.encode(await told.end(problemOf(leg, exchange))));
  else if (leg.end === 'lost') client.write(encoder.encode(errorEvent({ kind: 'node_lost' })));
  await client.end();
  await (metered ?? meterLeg());
}

function problemOf(leg: Leg, { left }: Exchange): Problem | undefined {
  if (leg.end === 'done') return undefined;
  if (left.signal.aborted) return { kind: 'client_gone' };
  if (leg.late) return { kind: 'deadline_exceeded' };
  return { kind: leg.end === 'lost' ? 'node_lost' : 'upstream_error' };
}
