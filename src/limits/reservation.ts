/**
 * What a request holds of its key's limits: taken before it is forwarded, renewed while its answer goes on, given back
 * when it has ended. Two round trips to the key's object, none a token, and one every minute or two of a long answer.
 */
import type { Call } from '../call.ts';
import { EdgeError } from '../errors.ts';
import { askKey } from '../keys/ask-key.ts';
import { keyObject } from '../keys/objects.ts';
import { log } from '../log.ts';
import type { Outcome } from '../usage/usage-row.ts';
import type { Lease } from './ledger.ts';
import { setLimitHeaders } from './limit-headers.ts';

/** Waits between tries: within the 30 s that a worker may go on after its answer. */
const settleAgainMs = [100, 1_000, 5_000];

export interface Reservation {
  /**
   * At the end, once. Tries for some seconds, and never rejects: a lease that stays unsettled is charged in full when
   * it runs out.
   */
  settle(outcome: Outcome): Promise<void>;
  /** Somebody else will settle it: it is no longer renewed here. */
  letGo(): void;
  readonly lease: Lease;
  readonly renewMs: number;
}

/** Throws an EdgeError when the key does not open this, or a limit stands against it. */
export async function reserve(
  call: Call,
  answer: { id: string; model: string; tokens: number; priority?: boolean },
): Promise<Reservation> {
  const acquired = await call.timing.measure(
    'limits',
    askKey(call, (key) => key.acquire({ ...answer, hash: call.keyHash, scope: 'inference' })),
  );
  setLimitHeaders(call.responseHeaders, acquired.standings);
  if ('refusal' in acquired) throw new EdgeError(acquired.refusal);
  return hold(call, acquired.lease, acquired.renewMs);
}

/**
 * Takes up what another one, who died, may have held. If the lease is not there any more there is nothing left to
 * settle: it was settled, or charged in full when it ran out.
 */
export async function holdAgain(call: Call, lease: Lease, renewMs: number): Promise<Reservation> {
  const expiresAt = await askKey(call, (key) => key.renew(lease.id));
  if (expiresAt === undefined) return { async settle() {}, letGo() {}, lease, renewMs };
  return hold(call, { ...lease, expiresAt }, renewMs);
}

function hold(call: Call, lease: Lease, renewMs: number): Reservation {
  const renew = async () => {
    // If it fails, the next one may do, and else the lease runs out.
    const expiresAt = await keyObject(call.env, call.keyId)
      .renew(lease.id)
      .catch(() => undefined);
    lease.expiresAt = expiresAt ?? lease.expiresAt;
  };
  const renewal = setInterval(renew, renewMs);
  return {
    lease,
    renewMs,
    letGo: () => clearInterval(renewal),
    async settle(outcome) {
      clearInterval(renewal);
      for (const waitMs of [...settleAgainMs, undefined]) {
        try {
          // A new stub each time: one whose object was moved or updated stays broken.
          return await keyObject(call.env, call.keyId).settle(lease, outcome);
        } catch (error) {
          const fields = { request_id: call.requestId, key: call.keyId, problem: (error as Error).name };
          if (waitMs === undefined) return log('unsettled', fields);
          await new Promise((resolve) => setTimeout(resolve, waitMs));
        }
      }
    },
  };
}
