/**
 * An answer in one piece. The node streams it all the same, so that the edge learns at once that it was accepted,
 * hears a node die, and can start over on another one: nothing has been shown yet.
 *
 * If it takes longer than a moment the 200 goes out and blanks follow, which may stand before any JSON. They keep
 * proxies from cutting the connection, and they are how a client's leaving shows: workerd reports a plain close
 * only after a write. An answer that fails after that is cut, so that no client takes it for a whole one.
 */
import { Answer } from './answer.ts';
import { ClientStream } from './client-stream.ts';
import { EdgeError } from './errors.ts';
import { isPing } from './event-bytes.ts';
import type { Exchange } from './exchange.ts';
import type { Leg } from './leg.ts';
import { meter } from './meter.ts';

/** So long a failure still gets its status. */
const commitMs = 80;
const encoder = new TextEncoder();
const blank = encoder.encode(' ');
const headers = { 'content-type': 'application/json' };

export async function collect(exchange: Exchange, first: Leg): Promise<Response> {
  const json = gather(exchange, first);
  const early = await Promise.race([json, moment()]);
  if (early !== undefined) return new Response(early, { headers });

  const client = new ClientStream(blank, () => exchange.left.abort());
  client.probe();
  exchange.call.waitUntil(
    json.then(
      (text) => {
        client.write(encoder.encode(text));
        return client.end();
      },
      () => client.cut(),
    ),
  );
  return new Response(client.readable, { headers });
}

async function gather(exchange: Exchange, first: Leg): Promise<string> {
  let leg: Leg | undefined = first;
  while (leg) {
    const answer = new Answer();
    let firstEventAt: number | undefined;
    for (let events = await leg.read(); events; events = await leg.read()) {
      if (firstEventAt === undefined && !isPing(events)) firstEventAt = Date.now();
      answer.add(events);
    }
    const whole: boolean = leg.end === 'done' && answer.whole;
    const next: Leg | undefined = whole ? undefined : await exchange.another(leg);
    if (!next) {
      exchange.call.waitUntil(meter(exchange.call, { ...exchange.answer, stream: false, firstEventAt, leg }));
      if (whole) return JSON.stringify(answer);
    }
    leg = next;
  }
  throw new EdgeError({ kind: exchange.left.signal.aborted ? 'client_gone' : 'node_lost' });
}

function moment(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, commitMs));
}
