import { afterEach, expect, it, vi } from 'vitest';
import type { Call } from '../call.ts';
import { ServerTiming } from '../server-timing.ts';
import type { Outcome } from '../usage/usage-row.ts';
import { reserve } from './reservation.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const outcome: Outcome = {
  promptTokens: 5,
  cachedTokens: 0,
  completionTokens: 3,
  failed: false,
  retries: 0,
  migrations: 0,
  ttftMs: 1,
  durationMs: 2,
};

/** A key's object that cannot be reached the first `failures` times that something ends. */
async function reservationWhere(failures: number) {
  const settled: Outcome[] = [];
  let tries = 0;
  const key = {
    acquire: async () => ({ lease: { id: 'a', expiresAt: 0 }, renewMs: 100_000, standings: {} }),
    settle: async (_lease: unknown, ended: Outcome) => {
      if (tries++ < failures) throw new Error('the object is being moved');
      settled.push(ended);
    },
  };
  const call = {
    env: { KEYS: { getByName: () => key } },
    responseHeaders: {},
    timing: new ServerTiming(),
  } as unknown as Call;
  const reservation = await reserve(call, { id: 'a', model: 'huozi', tokens: 10 });
  return { reservation, settled, tries: () => tries };
}

it.each([0, 1, 3])('what was used arrives after %i failures', async (failures) => {
  vi.useFakeTimers();
  const { reservation, settled, tries } = await reservationWhere(failures);
  const done = reservation.settle(outcome);
  await vi.advanceTimersByTimeAsync(10_000);
  await done;
  expect(settled).toEqual([outcome]);
  expect(tries()).toBe(failures + 1);
});

it('gives up in time, without rejecting, and says so in the log', async () => {
  vi.useFakeTimers();
  const printed = vi.spyOn(console, 'log').mockReturnValue();
  const { reservation, settled, tries } = await reservationWhere(99);
  const done = reservation.settle(outcome);
  await vi.advanceTimersByTimeAsync(20_000);
  await done;
  expect(settled).toEqual([]);
  expect(tries()).toBe(4);
  expect(printed).toHaveBeenCalledWith(expect.stringContaining('"unsettled"'));
});
