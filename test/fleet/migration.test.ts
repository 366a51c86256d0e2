/** Real nodes that announce themselves, real kills. The whole run, 200 answers each, is `test/fleet/migration.ts`. */
import { expect, it } from 'vitest';
import { type Disturbance, migrate } from './migration.ts';

const cases: [string, object, Disturbance][] = [
  ['greedy answers while nodes are killed', { temperature: 0 }, { signal: 'SIGKILL', every: 8 }],
  ['seeded answers while nodes are killed', { temperature: 0.8, seed: 7 }, { signal: 'SIGKILL', every: 8 }],
  ['greedy answers while nodes hang', { temperature: 0 }, { signal: 'SIGSTOP', every: 16 }],
  ['greedy answers while nodes drain', { temperature: 0 }, { signal: 'SIGTERM', every: 16 }],
];

it.each(cases)(
  '%s: complete, and as if nothing had happened',
  async (_what, fields, disturbance) => {
    const outcome = await migrate(48, fields, disturbance);
    expect(outcome.failures).toEqual([]);
    expect(outcome.complete).toBe(48);
    expect(outcome.kills).toBeGreaterThan(0);
    expect(outcome.differing).toEqual([]);
  },
  180_000,
);
