/**
 * `npm run simulate [-- --nodes 1000 --requests 1000000 --utilisation 0.8]`: every routing policy on the same fleet
 * and the same users. What the design of src/routing rests on.
 */
import { parseArgs } from 'node:util';
import {
  affinity,
  atRandom,
  homeOnly,
  leastLoaded,
  type Policy,
  roundRobin,
  twoChoices,
} from '../../src/routing/policy.ts';
import { type Setting, simulate } from './simulation.ts';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    requests: { type: 'string', default: '1000000' },
    utilisation: { type: 'string', default: '0.8' },
    seed: { type: 'string', default: '1' },
  },
});

/** A node like one H100 with Huozi in 4 bits: an assumption, the same for every policy. */
const setting: Setting = {
  nodes: Number(values.nodes),
  requests: Number(values.requests),
  utilisation: Number(values.utilisation),
  seed: Number(values.seed),
  slots: 16,
  prefillRate: 4_000,
  decodeRate: 40,
  cacheTokens: 200_000,
  snapshotSeconds: 1,
  isolates: 50,
};

const policies: Record<string, () => Policy> = {
  'round robin': roundRobin,
  random: () => atRandom,
  'least loaded': () => leastLoaded,
  'two choices': () => twoChoices,
  'home only': () => homeOnly,
  affinity: () => affinity,
};

process.stdout.write(`${JSON.stringify(setting)}\n\n`);
process.stdout.write('| policy | hit rate | TTFT p50 | TTFT p99 | imbalance |\n|---|---|---|---|---|\n');
for (const [name, policy] of Object.entries(policies)) {
  const { hitRate, ttft, imbalance } = simulate(policy(), setting);
  const ms = (seconds: number) => `${(1000 * seconds).toFixed(0)} ms`;
  process.stdout.write(
    `| ${name} | ${(100 * hitRate).toFixed(1)} % | ${ms(ttft.p50)} | ${ms(ttft.p99)} | ${imbalance.toFixed(2)} |\n`,
  );
}
