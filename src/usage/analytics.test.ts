import { expect, it } from 'vitest';
import { type Dataset, writePoint } from './analytics.ts';

const answered = {
  keyId: 'k1',
  model: 'huozi',
  upstream: 'node' as const,
  stream: true,
  usage: { prompt_tokens: 7, completion_tokens: 3, reason: 'stop' as const },
  source: 'stream',
  failed: false,
  moves: { retries: 2, migrations: 1 },
  ttftMs: undefined,
  durationMs: 12,
};

it('writes one point an answer, and none without a dataset', () => {
  const points: Parameters<Dataset['writeDataPoint']>[0][] = [];
  writePoint({ writeDataPoint: (point) => void points.push(point) }, answered);
  writePoint(undefined, answered);
  expect(points).toEqual([
    {
      indexes: ['k1'],
      blobs: ['huozi', 'stop', 'stream', 'stream', 'ok', 'node'],
      doubles: [7, 0, 3, -1, 12, 2, 1],
    },
  ]);
});
