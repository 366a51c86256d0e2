/** `npm run soak -w gpu-backend -- [requests]`: the long soak; fails with what it found. */
import { loadEngine, nodeDefaults } from 'huozi-gpu-backend';
import { nearTie, soak, surprises } from './soak.ts';

const requests = Number(process.argv[2] ?? 10_000);
const options = { ...nodeDefaults, contextTokens: 2048, batchTokens: 64, threads: 1, gpuLayers: 0 };
const { gc } = globalThis;

const engine = await loadEngine(options);
const {
  unlike,
  whole: _,
  ...report
} = await soak(engine, {
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
const gaps = await surprises(options.modelPath, unlike);
const mixedUp = unlike.filter((_, i) => (gaps[i] as number) > nearTie);

const growth = report.residentAtEnd / report.residentAtHalf - 1;
process.stdout.write(
  `${JSON.stringify({ ...report, growth, unlike: unlike.length, largestGap: Math.max(0, ...gaps), mixedUp: mixedUp.length, stats }, null, 2)}\n`,
);
const faults = [
  mixedUp.length > 0 &&
    `${mixedUp.length} answers are not the model's: ${mixedUp.map(({ marker, text }) => `${text} for ${marker}`)}`,
  report.slotsAtEnd < stats.slots && `${stats.slots - report.slotsAtEnd} slots are lost`,
  (stats.active > 0 || stats.queued > 0 || stats.kvUsed > 0) && 'something is left over',
  growth >= 0.02 && `memory grew by ${(100 * growth).toFixed(1)} % over the second half`,
].filter(Boolean);
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
