/**
 * A streamed answer whose bytes pass without JavaScript once they flow: the native pipe, at about a third of what the
 * loop costs a token (relay.ts), for plans that are short of CPU time. RELAY = "lean" asks for it.
 *
 * The price: when the node's connection is reset the pipe destroys the client's stream with it (workerd, 24 of 24
 * times), so that such an answer just stops, without its `[DONE]`: the client must look for it, and does the going on.
 * A body that ends in order but too early is still told as an error, and what a node says of its own failure passes in
 * its own words, which are few (huozi-gpu-backend, server/errors.ts). What was used is asked of the node at the end,
 * because nobody here has read it.
 */
import type { ClientStream } from './client-stream.ts';
import { errorEvent, type Problem } from './errors.ts';
import { type Exchange, problemOf } from './exchange.ts';
import type { Leg } from './leg.ts';
import { meter } from './meter.ts';

/** @param leg whose first event has been shown. Settles when the answer is metered. */
export async function passOn(
  exchange: Exchange,
  leg: Leg,
  client: ClientStream,
  firstEventAt: number,
): Promise<void> {
  const { begun, body } = leg.release();
  if (begun) client.write(begun);
  const writable = client.release();
  const inOrder = await body.pipeTo(writable, { preventClose: true }).then(
    () => true,
    () => false,
  );
  // The node says how it ended, and stops if it has not.
  const { usage, source } = await leg.usage();
  const finished = inOrder && (usage.reason === 'stop' || usage.reason === 'length');
  // A client that leaves and a node that is reset break the pipe with the same words. A node that answers lives.
  if (!inOrder && source === 'node') exchange.left.abort();
  const problem: Problem | undefined = finished ? undefined : problemOf(leg, exchange);
  if (inOrder) {
    const writer = writable.getWriter();
    // A node that failed has said so itself, with the last of its bytes.
    const told = source === 'node' && (usage.reason === 'error' || usage.reason === 'deadline');
    if (problem && !told) writer.write(new TextEncoder().encode(errorEvent(problem))).catch(() => undefined);
    await writer.close().catch(() => undefined);
  }
  await meter(exchange.call, { ...exchange.answer, stream: true, firstEventAt, leg, problem });
}
