import type { Call } from './call.ts';
import type { Leg } from './leg.ts';
import type { Reservation } from './limits/reservation.ts';

/** One answer on its way from the nodes to the client. */
export interface Exchange {
  call: Call;
  answer: { id: string; model: string; reservation: Reservation };
  /** Aborts when the client has left; whoever notices aborts it. Every leg then stops its node. */
  left: AbortController;
  /** Puts another node in the place of one that was lost; undefined when there is none, or nobody to answer. */
  another: (lost: Leg) => Promise<Leg | undefined>;
}
