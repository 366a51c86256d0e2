/**
 * What takes the client's place where an answer outlives its client's connection (streams/): the steps of an answer
 * know no more of that.
 */

import type { GenerateRequest } from 'huozi-gpu-backend/protocol';
import type { Problem } from './errors.ts';
import type { Lease } from './limits/ledger.ts';
import type { ClientFields } from './route.ts';

/** All that it takes to go on with an answer, beside its tokens so far. Plain values. */
export interface Production {
  request: GenerateRequest;
  fields: ClientFields;
  lease: Lease;
  renewMs: number;
}

export interface Kept {
  /** Of the answer; where undefined one is made up. */
  readonly answerId: string | undefined;
  /** Of the object that keeps it; undefined where it goes on, and whoever must know has been told. */
  readonly name: string | undefined;
  /**
   * Somebody has accepted it.
   * @param production undefined where nobody could go on with it
   * @param release of what is held until the answer is over
   */
  begun(production: Production | undefined, release: () => void): void;
  write(bytes: Uint8Array): undefined;
  /**
   * What is written from here on is its end.
   * @param problem why it is not whole
   * @param stranded only for want of a node
   * @returns whether it will go on: then this is not its end, and nothing is settled
   */
  ending(problem: Problem | undefined, stranded: boolean): boolean;
  end(): Promise<void>;
}
