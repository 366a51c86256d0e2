/** `npm run soak -w gpu-backend -- [requests]`: the long soak; fails with what it found. */
import { loadEngine, nodeDefaults } from 'huozi-gpu-backend';
import { differAlone, soak } from './soak.ts';

const requests = Number(process.argv[2] ?? 10_000);
const options = { ...nodeDefaults, contextTokens: 2048, batchTokens: 64, threads: 1, gpuLayers: 0 };
const { gc } = globalThis;

const engine = await loadEngine(options);
const { unlike, ...report } = await soak(engine, {
  requests,
  concurrency: 24,
  seed: 1,
  resident() {
    gc?.();
    return process.memoryUsage.rss();
  },
});
const { stats } = engine;
await engine.close();
const alone = await loadEngine({ ...options, slots: 1, prefixCache: false });
const mixedUp = await differAlone(alone, unlike);
await alone.close();

const growth = report.residentAtEnd / report.residentAtHalf - 1;
process.stdout.write(
  `${JSON.stringify({ ...report, growth, unlike: unlike.length, mixedUp: mixedUp.length, stats }, null, 2)}\n`,
);
const faults = [
  mixedUp.length > 0 &&
    `${mixedUp.length} answers are not those given alone: ${JSON.stringify(mixedUp.slice(0, 5))}`,
  report.slotsAtEnd < stats.slots && `${stats.slots - report.slotsAtEnd} slots are lost`,
  (stats.active > 0 || stats.queued > 0 || stats.kvUsed > 0) && 'something is left over',
  growth >= 0.02 && `memory grew by ${(100 * growth).toFixed(1)} % over the second half`,
].filter(Boolean);
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
