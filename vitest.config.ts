import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['huozi-source'] },
  ssr: { resolve: { conditions: ['huozi-source'] } },
  test: {
    include: ['src/**/*.test.ts', 'sdk/**/*.test.ts', 'gpu-backend/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    // Files run one after another: llama.cpp's threads spin at barriers, and two engines
    // on the cores of a small machine slow each other down by a factor of ten and more.
    fileParallelism: false,
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ['default', './test/summary-reporter.ts'],
  },
});
