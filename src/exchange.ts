import type { Call } from './call.ts';
import { type Problem, whyStopped } from './errors.ts';
import type { Leg } from './leg.ts';
import type { Reservation } from './limits/reservation.ts';
import type { Moves } from './moves.ts';

/** One answer on its way from the nodes to the client. */
export interface Exchange {
  call: Call;
  answer: { id: string; model: string; reservation: Reservation; moves: Moves };
  /**
   * Aborts when the client has left, or with an EdgeError when the answer must end for another reason; whoever notices
   * aborts it. Every leg then stops its node.
   */
  left: AbortController;
  /**
   * Puts another node in the place of one that was lost; it goes on after the tokens that were told. Undefined when
   * there is none, when nobody waits for the answer, or when it cannot go on. `startOver`: see Route.
   */
  another: (lost: Leg, startOver?: () => void) => Promise<Leg | undefined>;
  /** Whether it has ended for want of a node alone. */
  readonly stranded: boolean;
  /** For answers that are not told in the node's own events. */
  retell: (() => Retelling) | undefined;
}

/** Why an answer whose last leg has ended is not whole. */
export function problemOf(leg: Leg, { left }: Exchange): Problem | undefined {
  if (leg.end === 'done') return undefined;
  return left.signal.aborted ? whyStopped(left.signal) : leg.problem;
}

/** One answer, told to the client in other words than the node's. */
export interface Retelling {
  /** Goes out before anything is known of the answer. */
  begin(): string;
  /** @param events whole ones of the node; each is parsed once. Gives the client's events for them, perhaps none. */
  add(events: Uint8Array): string;
  /** Whether it is a whole answer, and not only the end of one. */
  readonly whole: boolean;
  /**
   * Once, after the last leg; settles when what outlives the answer is kept. Gives a stream's last events.
   * @param problem why there is no whole answer
   */
  end(problem: Problem | undefined): Promise<string>;
  /** The body of an answer in one piece. After `end`. */
  toJSON(): unknown;
}
